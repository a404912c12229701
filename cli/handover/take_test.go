package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestKinds(t *testing.T) {
	names := map[string]Kind{
		"login": Login, "userdb": Userdb, "authreply": Authreply, "admin": Admin, "notify": Notify,
		"api": API, "http": HTTP,
		"director-login.socket": Login, "director-userdb": Userdb, "proxy-notify": Notify,
		"x-doveadm": Admin, "some-auth": Login,
		"director": "", "": "", "ring": "", "director-ring": "",
	}
	for name, want := range names {
		if got, ok := kindOfName(name); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
	paths := map[string]Kind{
		"/run/director/director.sock": API, "/run/dovecot/login/director": Login,
		"/run/dovecot/director-userdb": Userdb,
		"/run/dovecot/director-admin":  Admin, "/x/bar": Login, "/director-userdb/foo-auth": Login,
	}
	for path, want := range paths {
		if got := kindOfPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// environment is one that a test has made up.
func environment(values map[string]string) Environment {
	return Environment{PID: os.Getpid(), LookupEnv: func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}}
}

// descriptors puts files side by side, as a parent process does, and returns the first number.
func descriptors(t *testing.T, files ...*os.File) int {
	t.Helper()
	for first := 200; ; first += len(files) + dovecotGap {
		free := true
		for i := range len(files) + dovecotGap {
			if _, err := unix.FcntlInt(uintptr(first+i), unix.F_GETFD, 0); err == nil {
				free = false
			}
		}
		if !free {
			continue
		}
		for i, f := range files {
			if f == nil {
				continue
			}
			if err := unix.Dup2(int(f.Fd()), first+i); err != nil {
				t.Fatal(err)
			}
		}
		return first
	}
}

func listener(t *testing.T, network, addr string) *os.File {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func fifo(t *testing.T, path string, flags int) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func kinds(h *Handed) []Kind {
	var list []Kind
	for _, s := range h.Sockets {
		list = append(list, s.Kind)
	}
	return list
}

func TestSystemd(t *testing.T) {
	dir := socketDir(t)
	files := []*os.File{
		listener(t, "unix", filepath.Join(dir, "a")),
		fifo(t, filepath.Join(dir, "f"), os.O_RDWR),
		listener(t, "tcp", "127.0.0.1:0"),
		listener(t, "unix", filepath.Join(dir, "director-admin")),
	}
	first := descriptors(t, files...)
	h, err := takeSystemd(environment(map[string]string{
		"LISTEN_FDS": "4", "LISTEN_FDNAMES": "userdb:notify:http:",
	}), first)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if diff := cmp.Diff([]Kind{Userdb, Notify, HTTP, Admin}, kinds(h)); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	go func() {
		c, err := net.Dial("unix", filepath.Join(dir, "a"))
		if err == nil {
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	c, err := h.Sockets[0].Listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// Closing ends a read of the FIFO, which has no end of its own.
	ended := make(chan error)
	go func() {
		_, err := h.Sockets[1].FIFO.Read(make([]byte, 1))
		ended <- err
	}()
	h.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Errorf("the socket of others was removed: %v", err)
	}
	if h, err := takeSystemd(environment(map[string]string{"LISTEN_FDS": "1"}), first); err == nil {
		t.Errorf("taken twice: %v", kinds(h))
	}
}

func TestTakeRefuses(t *testing.T) {
	pid := fmt.Sprint(os.Getpid())
	others := environment(map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "1"})
	if h, err := Take(others); err != nil || len(h.Sockets) > 0 {
		t.Errorf("what is meant for another process: %v, %v", kinds(h), err)
	}
	if h, err := Take(environment(nil)); err != nil || len(h.Sockets) > 0 || h.Started() != nil {
		t.Errorf("nothing: %v, %v", kinds(h), err)
	}
	for _, text := range []string{"", "-1", "x", "300"} {
		bad := environment(map[string]string{"LISTEN_PID": pid, "LISTEN_FDS": text})
		if _, err := Take(bad); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
			t.Errorf("LISTEN_FDS=%q: %v", text, err)
		}
	}
	first := descriptors(t, listener(t, "tcp", "127.0.0.1:0"))
	if _, err := takeSystemd(environment(map[string]string{"LISTEN_FDS": "1"}),
		first); err == nil || !strings.Contains(err.Error(), "name it") {
		t.Errorf("a TCP socket without a name: %v", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	first = descriptors(t, null)
	defer unix.Close(first)
	if _, err := takeSystemd(environment(map[string]string{"LISTEN_FDS": "1"}),
		first); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("a file: %v", err)
	}
}

// Dovecot's master leaves other descriptors between the listeners, and opens the FIFO for reading
// only.
func TestDovecotMaster(t *testing.T) {
	t.Run("one end of the pipe", func(t *testing.T) { testDovecotMaster(t, true) })
	t.Run("the other end", func(t *testing.T) { testDovecotMaster(t, false) })
}

func testDovecotMaster(t *testing.T, readsEnd bool) {
	dir := socketDir(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	statusIn, statusOut := pipe(t)
	deadIn, deadOut := pipe(t)
	dead := deadOut
	if readsEnd {
		dead = deadIn
	}
	files := []*os.File{
		nil, null,
		listener(t, "unix", filepath.Join(dir, "director")),
		listener(t, "unix", filepath.Join(dir, "director-userdb")),
		fifo(t, filepath.Join(dir, "proxy-notify"), os.O_RDONLY),
	}
	first := descriptors(t, files...)
	defer unix.Close(first + 1)
	env := environment(map[string]string{
		"SOCKET_COUNT": "3", "GENERATION": "7", "CLIENT_LIMIT": "100",
		"SOCKET0_SETTINGS": "login/director",
	})
	h, err := takeDovecot(env, "3", first, inherited(t, statusOut), inherited(t, dead))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if diff := cmp.Diff([]Kind{Login, Userdb, Notify}, kinds(h)); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if err := h.Started(); err != nil {
		t.Fatal(err)
	}
	record := make([]byte, 12)
	if _, err := io.ReadFull(statusIn, record); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{uint32(os.Getpid()), 7, 99} {
		if got := binary.NativeEndian.Uint32(record[4*i:]); got != want {
			t.Errorf("word %d of the status record is %d, want %d", i, got, want)
		}
	}
	// A writer that comes and goes does not end the FIFO.
	w, err := os.OpenFile(filepath.Join(dir, "proxy-notify"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "alice\n")
	w.Close()
	got := make([]byte, 100)
	if n, err := h.Sockets[2].FIFO.Read(got); string(got[:n]) != "alice\n" || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
	h.Sockets[2].FIFO.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := h.Sockets[2].FIFO.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v; want silence", got[:n], err)
	}

	gone, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		h.WatchMaster(t.Context(), func() { close(gone) })
	}()
	select {
	case <-watched:
		t.Error("the watch has ended while the master is there")
	case <-time.After(50 * time.Millisecond):
	}
	deadIn.Close()
	deadOut.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("nobody saw that the master is gone")
	}
	if _, err := takeDovecot(env, "2", first, inherited(t, statusOut),
		inherited(t, statusOut)); err == nil {
		t.Error("taken twice")
	}
}

// inherited is a descriptor of the file that nothing else in this process uses.
func inherited(t *testing.T, f *os.File) int {
	t.Helper()
	conn, err := f.SyscallConn() // Fd would make the file blocking
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if err := conn.Control(func(own uintptr) { fd, err = unix.Dup(int(own)) }); err != nil ||
		fd < 0 {
		t.Fatalf("duplicating: %v", err)
	}
	return fd
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}
