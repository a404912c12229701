package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseSpec(t *testing.T) {
	good := map[string]Spec{
		"login=/run/x":           {Login, "/run/x", 0o666},
		"notify=/run/x":          {Notify, "/run/x", 0o666},
		"userdb=/run/x":          {Userdb, "/run/x", 0o600},
		"admin=/run/a=b:0660":    {Admin, "/run/a=b", 0o660},
		"authreply=/run/x:y:600": {Authreply, "/run/x:y", 0o600},
	}
	for text, want := range good {
		got, err := ParseSpec(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "/run/x", "http=/run/x", "nonsense=/run/x", "login=x", "login=/run/x:rw",
		"login=/run/x:7777", "login=",
	} {
		if got, err := ParseSpec(text); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// An error of opening says in plain words what to do; a file that is there stays.
func TestWhatCannotBeHeld(t *testing.T) {
	dir := socketDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	served := listener(t, "unix", path("served"))
	defer served.Close()
	if err := os.WriteFile(path("file"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path("file"), path("link")); err != nil {
		t.Fatal(err)
	}
	long := path(strings.Repeat("x", maxSocketPath-len(dir)))
	for _, test := range []struct {
		spec Spec
		want string
	}{
		{Spec{Login, path("served"), 0o600},
			"another process serves it; stop it, or choose another path"},
		{Spec{Login, path("file"), 0o600},
			"what is there is no socket; remove it, or choose another path"},
		{Spec{Login, path("link"), 0o600},
			"what is there is no socket; remove it, or choose another path"},
		{Spec{Login, dir, 0o600}, "what is there is no socket; remove it, or choose another path"},
		{Spec{Notify, path("file"), 0o600},
			"what is there is no FIFO; remove it, or choose another path"},
		{Spec{Notify, path("link"), 0o600},
			"what is there is no FIFO; remove it, or choose another path"},
		{Spec{Notify, path("served"), 0o600},
			"what is there is no FIFO; remove it, or choose another path"},
		{Spec{Notify, dir, 0o600}, "what is there is no FIFO; remove it, or choose another path"},
		{Spec{Login, path("file/x"), 0o600},
			path("file") + ": not a directory; choose another path"},
		{Spec{Login, long, 0o600}, "the path has 108 bytes; the most is 107; choose another path"},
	} {
		f, err := test.spec.open()
		if want := test.spec.Path + " cannot be opened: " + test.want; err == nil ||
			err.Error() != want {
			t.Errorf("%s at %s: %v, %v, want %s", test.spec.Kind, test.spec.Path, f, err, want)
		}
	}
	if kept, err := os.ReadFile(path("file")); string(kept) != "mine" {
		t.Errorf("the file has %q, %v", kept, err)
	}
}

// remarks collects what Hold tells.
type remarks chan string

func (r remarks) remark(format string, args ...any) { r <- fmt.Sprintf(format, args...) }

// Sockets stay open when the command ends. The command is started again, unless it says that this
// would not help. Nothing stays behind.
func TestHold(t *testing.T) {
	dir := socketDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	stale := listener(t, "unix", path("sub-login")) // its process is dead
	stale.Close()
	specs := []Spec{{Login, path("sub-login"), 0o640}, {Notify, path("x/notify"), 0o622}}
	said := make(remarks, 10)
	// The first time it fails; the second time it shows what it was given, and reads what was
	// written while nobody ran.
	script := `test "$LISTEN_PID" = $$ || exit 78
if test ! -e once; then echo alice >&4; : >once; exit 3; fi
echo "$LISTEN_FDS $LISTEN_FDNAMES"; read -r name <&4; echo "$name"; exit 78`
	var out strings.Builder
	status, err := Hold(t.Context(), HoldConfig{
		Specs: specs, Command: []string{"/bin/sh", "-c", "cd " + dir + "; " + script}, Stdout: &out,
		Stderr: &out, Remark: said.remark,
	})
	if status != 78 || err != nil || out.String() != "2 login:notify\nalice\n" {
		t.Errorf("status %d, %v, output %q", status, err, out.String())
	}
	if got := <-said; !strings.Contains(got, "ended with status 3") {
		t.Errorf("remark %q", got)
	}
	for _, s := range specs {
		if _, err := os.Lstat(s.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s stays behind: %v", s.Path, err)
		}
	}
}

// Signals go to the command and end it all.
func TestHoldSignals(t *testing.T) {
	own := make(chan os.Signal, 1)
	// under nohup the command would inherit that the signal is ignored
	signal.Notify(own, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(own) })
	signals := make(chan os.Signal, 2)
	in, out := pipe(t)
	if err := in.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	result := make(chan int)
	dir := socketDir(t)
	const script = `trap 'echo reloaded' HUP; trap 'exit 5' TERM; echo up; ` +
		`while :; do sleep 0.05; done`
	hold := func(ctx context.Context) {
		status, err := Hold(ctx, HoldConfig{
			Specs:   []Spec{{Notify, filepath.Join(dir, "n"), 0o600}},
			Command: []string{"/bin/sh", "-c", script},
			Stdout:  out, Stderr: os.Stderr, Signals: signals, Remark: t.Logf,
		})
		if err != nil {
			t.Error(err)
		}
		result <- status
	}
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	go hold(t.Context())
	expect("up\n")
	if info, err := os.Stat(filepath.Join(dir, "n")); err != nil ||
		info.Mode() != fs.ModeNamedPipe|0o600 {
		t.Errorf("FIFO: %v, %v", info, err)
	}
	signals <- syscall.SIGHUP
	expect("reloaded\n")
	signals <- syscall.SIGTERM
	if status := <-result; status != 5 {
		t.Errorf("status %d, want 5", status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go hold(ctx)
	expect("up\n")
	cancel()
	if status := <-result; status != 5 {
		t.Errorf("status %d, want 5", status)
	}
}

func TestHoldRefuses(t *testing.T) {
	dir := socketDir(t)
	busy, err := net.Listen("unix", filepath.Join(dir, "busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		spec Spec
		want string
	}{
		{Spec{Login, filepath.Join(dir, "busy"), 0o600}, "another process serves it"},
		{Spec{Login, filepath.Join(dir, "file"), 0o600}, "file"},
		{Spec{Notify, filepath.Join(dir, "file"), 0o600}, "is no FIFO"},
		{Spec{Notify, filepath.Join(dir, "file/x"), 0o600}, "not a directory"},
	} {
		_, err := Hold(t.Context(), HoldConfig{
			Specs: []Spec{tt.spec}, Command: []string{"/bin/true"}, Remark: t.Logf,
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.spec, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "file")); err != nil {
			t.Fatalf("a file of others was removed: %v", err)
		}
	}
}

// holdMode makes this test program a holder: it holds the FIFO that the variable names around a
// command that never ends.
const holdMode = "HANDOVER_TEST_HOLD"

func TestMain(m *testing.M) {
	fifo := os.Getenv(holdMode)
	if fifo == "" {
		os.Exit(m.Run())
	}
	_, err := Hold(context.Background(), HoldConfig{
		Specs:   []Spec{{Notify, fifo, 0o600}},
		Command: []string{"/bin/sh", "-c", "echo $$; exec sleep 1000"},
		Stdout:  os.Stdout, Remark: func(string, ...any) {},
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// When holder and command are killed no FIFO is left behind without a reader, at no time.
func TestHoldKilled(t *testing.T) {
	fifo := filepath.Join(socketDir(t), "n")
	in, out := pipe(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdMode+"="+fifo)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// Holder and command are one process group, the guard is not in it.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	for syscall.Kill(child, 0) == nil { // somebody else has to wait for it
		runtime.Gosched()
	}
	for {
		// Not blocking, this fails with ENXIO if nobody has it open.
		f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			t.Fatalf("the FIFO is there and cannot be written to: %v", err)
		}
		f.Close()
	}
}

// A FIFO that another process has put in place meanwhile stays.
func TestGuardOfAnother(t *testing.T) {
	fifo := filepath.Join(socketDir(t), "n")
	f, err := Spec{Notify, fifo, 0o600}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, err := startGuard([]*os.File{f})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(fifo); err != nil {
		t.Fatal(err)
	}
	other, err := Spec{Notify, fifo, 0o600}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	g.end()
	if _, err := os.Lstat(fifo); err != nil {
		t.Errorf("another's FIFO was removed: %v", err)
	}
}

// A command that ends again and again is started ever later; one that has run for long, soon.
func TestPauseAfter(t *testing.T) {
	var got []time.Duration
	pause := time.Duration(0)
	for _, lasted := range []time.Duration{
		0, 0, time.Second, 30 * time.Second, 0, 0, 0, 30*time.Second + 1, 0, time.Hour,
		time.Hour, 0,
	} {
		pause = pauseAfter(pause, lasted)
		got = append(got, pause/time.Second)
	}
	want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 1, 2, 1, 1, 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pauses in seconds (-want +got):\n%s", diff)
	}
}

// A remark names the pause that passes, and each pause is twice the one before.
func TestHoldPauses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var said []string
	var at []time.Time
	_, err := Hold(ctx, HoldConfig{
		Command: []string{"/bin/sh", "-c", "exit 1"},
		Remark: func(format string, args ...any) {
			said, at = append(said, fmt.Sprintf(format, args...)), append(at, time.Now())
			if len(said) == 2 {
				cancel()
			}
		},
	})
	want := []string{
		"/bin/sh has ended with status 1, starting it again in 1s; its sockets stay open",
		"/bin/sh has ended with status 1, starting it again in 2s; its sockets stay open",
	}
	if diff := cmp.Diff(want, said); diff != "" || err != nil {
		t.Fatalf("%v; said (-want +got):\n%s", err, diff)
	}
	if pause := at[1].Sub(at[0]); pause < restartPause {
		t.Errorf("it was started again after %v", pause)
	}
}

func TestHoldStatus(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    int
		again   bool // it is started again
	}{
		{"exit 78", 78, false},
		{"exit 0", 0, true},
		{"exit 4", 4, true},
		{"kill -9 $$", 137, true},
		{"exec /no/such/program", 127, true},
	} {
		signals := make(chan os.Signal, 1)
		again := false
		remark := func(string, ...any) {
			again = true
			signals <- syscall.SIGTERM // which ends the pause before the start
		}
		status, err := Hold(t.Context(), HoldConfig{
			Command: []string{"/bin/sh", "-c", tt.command}, Signals: signals, Remark: remark,
		})
		if status != tt.want || err != nil || again != tt.again {
			t.Errorf("%q: status %d, %v, again %v", tt.command, status, err, again)
		}
	}
}
