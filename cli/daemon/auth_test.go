package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/handover"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

func TestAuthSettings(t *testing.T) {
	got, err := Load(nil, "", testEnvironment(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := authOptions{
		AuthLoginSocket: "/run/dovecot/auth-login", AuthUserdbSocket: "/run/dovecot/auth-userdb",
	}
	if diff := cmp.Diff(want, got.Auth); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	endpoints := map[handover.Kind]Endpoint{
		handover.Login:     {Socket: "login/director", Mode: 0o666},
		handover.Userdb:    {Socket: "director-userdb", Mode: 0o600},
		handover.Authreply: {Socket: "director-authreply", Mode: 0o600},
	}
	for k, want := range endpoints {
		if got.Doors[k] != want {
			t.Errorf("%s is at %+v, want %+v", k, got.Doors[k], want)
		}
	}
	paths := authPaths(got)
	diff := cmp.Diff([]string{
		"/run/director/login/director", "/run/director/director-userdb",
		"/run/director/director-authreply",
	}, paths)
	if diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}

	got, err = Load(map[string]string{
		"login-socket": "/run/dovecot/login/x/director", "login-socket-mode": "0660",
		"auth-login-socket": "/a",
		"userdb-socket":     "u", "userdb-socket-mode": "640", "auth-userdb-socket": "",
		"authreply-socket": "", "authreply-socket-mode": "0600", "master-user-separator": "*",
	}, "", testEnvironment(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want = authOptions{AuthLoginSocket: "/a", MasterSeparator: '*'}
	if diff := cmp.Diff(want, got.Auth); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	endpoints[handover.Login] = Endpoint{Socket: "/run/dovecot/login/x/director", Mode: 0o660}
	endpoints[handover.Userdb] = Endpoint{Socket: "u", Mode: 0o640}
	endpoints[handover.Authreply] = Endpoint{Mode: 0o600}
	for k, want := range endpoints {
		if got.Doors[k] != want {
			t.Errorf("%s is at %+v, want %+v", k, got.Doors[k], want)
		}
	}
	// Without an auth behind it there is no userdb socket.
	paths = authPaths(got)
	if diff := cmp.Diff([]string{"/run/dovecot/login/x/director", "", ""}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func authPaths(o Options) (paths []string) {
	for _, k := range []handover.Kind{handover.Login, handover.Userdb, handover.Authreply} {
		paths = append(paths, o.Socket(k))
	}
	return paths
}

func TestBadAuthSettings(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	for name, values := range map[string][]string{
		"login-socket": {long}, "userdb-socket": {long}, "authreply-socket": {long},
		"auth-login-socket": {long, "auth-login"}, "auth-userdb-socket": {long, "auth-userdb"},
		"kick-ipc": {long, "ipc"}, "kick-anvil": {long, "anvil"},
		"login-socket-mode": {"rw"}, "userdb-socket-mode": {"01777"}, "authreply-socket-mode": {""},
		"master-user-separator": {"**", "ä", "\xe4"},
	} {
		for _, value := range values {
			_, err := Load(map[string]string{name: value}, "", testEnvironment(nil, nil))
			if err == nil || !strings.HasPrefix(err.Error(), name+": ") {
				t.Errorf("%s %q: error %v", name, value, err)
			}
		}
	}
}

// auth is a stand-in that answers every request with the same fields.
func auth(t *testing.T, path, verb, fields string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					words := strings.Split(lines.Text(), "\t")
					if words[0] == "AUTH" || words[0] == "PASS" {
						fmt.Fprintf(c, "%s\t%s\t%s\n", verb, words[1], fields)
					}
				}
			}()
		}
	}()
}

// ask sends lines to a socket and returns as many lines as it waits for.
func ask(t *testing.T, path, lines string, answers int) []string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, lines); err != nil {
		t.Fatal(err)
	}
	var got []string
	for in := bufio.NewScanner(c); len(got) < answers && in.Scan(); {
		got = append(got, in.Text())
	}
	return got
}

// A director with all doors before Dovecot's auth, some of which were opened by others.
func TestAuthDoors(t *testing.T) {
	dir := socketDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	auth(t, path("auth-login"), "OK", "user=alice\tproxy")
	auth(t, path("auth-userdb"), "PASS", "user=alice\tproxy=y")
	options := testOptions(t, map[string]string{
		"mail-servers": "192.0.2.1", "auth-login-socket": path("auth-login"),
		"auth-userdb-socket": path("auth-userdb"),
		"login-socket":       path("own"), "userdb-socket": path("login/x/director-userdb"),
		"userdb-socket-mode": "0640",
	})
	login, err := net.Listen("unix", path("handed"))
	if err != nil {
		t.Fatal(err)
	}
	login.(*net.UnixListener).SetUnlinkOnClose(false) // as with one from a descriptor
	if err := syscall.Mkfifo(path("notify"), 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path("notify"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	handed := &handover.Handed{Sockets: []handover.Socket{
		{Kind: handover.Login, Listener: login}, {Kind: handover.Notify, FIFO: fifo},
	}}
	r := startHanded(t, options, handed)
	r.state(t, "READY=1")

	if _, err := os.Stat(path("own")); err == nil {
		t.Error("a login socket was made although one was handed over")
	}
	if info, err := os.Stat(path("login/x/director-userdb")); err != nil ||
		info.Mode().Perm() != 0o640 {
		t.Errorf("userdb socket: %v, %v", info, err)
	}
	got := [][]string{
		ask(t, path("handed"), "AUTH\t1\tPLAIN\n", 1),
		ask(t, path("login/x/director-userdb"), "PASS\t7\talice\r\n", 1),
		ask(t, options.Socket(handover.Authreply),
			"VERSION\tdirector-authreply-client\t1\t0\nOK\t3\tuser=bob\tproxy\n\n", 3),
	}
	want := [][]string{
		{"OK\t1\tuser=alice\tproxy\tproxy_refresh=450\thost=192.0.2.1"},
		{"PASS\t7\tuser=alice\tproxy=y\tproxy_refresh=450\thost=192.0.2.1"},
		{"VERSION\tdirector-authreply-server\t1\t0",
			"OK\t3\tuser=bob\tproxy\tproxy_refresh=450\thost=192.0.2.1", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	started := r.log.Await("director started", 10*time.Second)
	for _, field := range []string{
		"login_socket", "userdb_socket", "authreply_socket", "notify_socket",
	} {
		if _, ok := started[field]; !ok {
			t.Errorf("the start-up line lacks %s: %v", field, started)
		}
	}
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path("handed")); err != nil {
		t.Errorf("a socket of others was removed: %v", err)
	}
}

// Sockets of one kind that are handed over have a field each in the start-up line, and all are
// served.
func TestHandedTwice(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	auth(t, path("auth-login"), "AUTH", "user=alice\tproxy")
	options := testOptions(t, map[string]string{
		"mail-servers": "192.0.2.1", "auth-login-socket": path("auth-login"),
	})
	handed := new(handover.Handed)
	want := map[string]string{}
	for i, name := range []string{"first", "second"} {
		login, err := net.Listen("unix", path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path(name+"-notify"), 0o600); err != nil {
			t.Fatal(err)
		}
		fifo, err := os.OpenFile(path(name+"-notify"), os.O_RDWR|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		handed.Sockets = append(
			handed.Sockets, handover.Socket{Kind: handover.Login, Listener: login},
			handover.Socket{Kind: handover.Notify, FIFO: fifo})
		number := []string{"", "_2"}[i]
		want["login_socket"+number], want["notify_socket"+number] = path(name), path(name+"-notify")
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handed.Sockets = append(handed.Sockets, handover.Socket{Kind: handover.Admin, Listener: admin})
	want["admin_tcp"] = admin.Addr().String()
	r := startHanded(t, options, handed)
	r.state(t, "READY=1")

	started, got := r.log.Await("director started", 10*time.Second), make(map[string]string)
	for field := range want {
		got[field], _ = started[field].(string)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("start-up line (-want +got):\n%s", diff)
	}
	for _, name := range []string{"first", "second"} {
		ask(t, path(name), "AUTH\t1\tPLAIN\n", 1)
		fifo, err := os.OpenFile(path(name+"-notify"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := fifo.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// More than a FIFO holds.
		if _, err := fifo.Write(bytes.Repeat([]byte("alice\n"), 50_000)); err != nil {
			t.Errorf("%s: nobody reads it: %v", fifo.Name(), err)
		}
		fifo.Close()
	}
}

// Names are read from the table now and then.
func TestHostNames(t *testing.T) {
	rows := []replica.BackendStatus{{Backend: ring.Backend{Addr: addr1, Name: "mail.example.org"}},
		{Backend: ring.Backend{Addr: addr2}}}
	names := hostNames{backends: func() []replica.BackendStatus { return rows }}
	now := time.Now()
	check := func(when time.Time, backend netip.Addr, want string) {
		t.Helper()
		if got := names.at(when)[backend]; got != want {
			t.Errorf("name of %v: %q, want %q", backend, got, want)
		}
	}
	check(now, addr1, "mail.example.org")
	check(now, addr2, "")
	rows = []replica.BackendStatus{{Backend: ring.Backend{Addr: addr2, Name: "new.example.org"}}}
	check(now.Add(namesAge), addr1, "mail.example.org")
	check(now.Add(namesAge+1), addr1, "")
	check(now.Add(namesAge+1), addr2, "new.example.org")
}
