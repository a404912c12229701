package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/handover"
	"directormesh/cli/kick"
	"directormesh/cli/logtest"
	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/replica"
)

// socketDir is a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testOptions(t *testing.T, more map[string]string) Options {
	t.Helper()
	flags := map[string]string{
		"node-name": "d1", "bind": "127.0.0.1:0", "mail-servers": "192.0.2.1-192.0.2.2",
		"run-dir": filepath.Join(socketDir(t), "run"),
	}
	for name, value := range more {
		flags[name] = value
	}
	options, err := Load(flags, "", testEnvironment(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// running is a daemon that runs in a test.
type running struct {
	*Daemon
	log     *logtest.Buffer
	signals chan os.Signal
	states  chan string
	ended   chan error
}

func start(t *testing.T, options Options, reload func() (Options, error)) *running {
	t.Helper()
	return startConfig(t, Config{Options: options, Reload: reload})
}

// startHanded starts a daemon some of whose sockets were opened by others.
func startHanded(t *testing.T, options Options, handed *handover.Handed) *running {
	t.Helper()
	return startConfig(t, Config{Options: options, Handed: handed})
}

func startConfig(t *testing.T, cfg Config) *running {
	t.Helper()
	r := &running{
		log: new(logtest.Buffer), signals: make(chan os.Signal), states: make(chan string, 100),
		ended: make(chan error, 1),
	}
	cfg.Version, cfg.LogOutput, cfg.Notify = "1.2.3", r.log, func(s string) { r.states <- s }
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Daemon = d
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- d.Run(ctx, r.signals) }()
	t.Cleanup(func() {
		cancel()
		r.Close()
	})
	return r
}

// wait returns how the daemon ended.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon does not end")
		return nil
	}
}

// state waits until a state sent to the service manager contains text.
func (r *running) state(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case s := <-r.states:
			if strings.Contains(s, text) {
				return
			}
		case <-deadline:
			t.Fatalf("the service manager never heard %q", text)
		}
	}
}

func client(t *testing.T, addr string) *api.Client {
	t.Helper()
	c, err := api.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A whole life: start, ready, serve on both doors, leave in good order.
func TestLife(t *testing.T) {
	options := testOptions(t, map[string]string{"http": "127.0.0.1:0", "socket-mode": "0640"})
	r := start(t, options, nil)
	r.state(t, "READY=1")
	info, err := os.Stat(options.SocketPath())
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("socket: %v, %v; want mode 0640", info, err)
	}
	for _, addr := range []string{options.SocketPath(), r.HTTPAddr().String()} {
		self, err := client(t, addr).Self(t.Context())
		if err != nil || self.Name != "d1" || !self.Synced || self.Version != "1.2.3" {
			t.Errorf("self at %s: %+v, %v", addr, self, err)
		}
	}
	resp, err := http.Get("http://" + r.HTTPAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, name := range []string{
		`director_build_info{version="1.2.3"} 1`,
		`director_http_requests_total{path="/v1/director",status="2xx"} 2`,
		`director_http_requests_total{path="/v1/moves",status="5xx"} 0`, "go_goroutines ",
	} {
		if err != nil || !strings.Contains(string(metrics), "\n"+name) {
			t.Errorf("metrics lack %s (%v)", name, err)
		}
	}
	answer, err := client(t, options.SocketPath()).Lookup(t.Context(),
		api.LookupRequest{User: "alice"})
	if err != nil || !answer.Backend.IsValid() {
		t.Errorf("lookup: %+v, %v", answer, err)
	}
	started := r.log.Await("director started", 10*time.Second)
	for _, field := range []string{
		"version", "mesh", "socket", "http", "bind", "advertise", "join", "backends", "encrypted",
		"director",
	} {
		if _, ok := started[field]; !ok {
			t.Errorf("the start-up line lacks %s: %v", field, started)
		}
	}
	if !strings.Contains(r.log.String(), "the table comes from the configuration") {
		t.Errorf("the log does not say where the table came from:\n%s", r.log)
	}

	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Errorf("it ended with %v", err)
	}
	r.state(t, "STOPPING=1")
	if _, err := os.Stat(options.SocketPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if r.log.Line("director has left") == nil {
		t.Errorf("it did not leave in good order:\n%s", r.log)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// A reload applies all that can be applied, or nothing.
func TestReload(t *testing.T) {
	options := testOptions(t, nil)
	next := make(chan func() (Options, error), 1)
	r := start(t, options, func() (Options, error) { return (<-next)() })
	r.state(t, "READY=1")

	load := func(flags map[string]string) func() (Options, error) {
		return func() (Options, error) {
			flags["node-name"] = "d1"
			flags["bind"] = "127.0.0.1:0"
			flags["mail-servers"] = "192.0.2.1-192.0.2.2"
			flags["run-dir"] = options.RunDir
			return Load(flags, "", testEnvironment(nil, nil))
		}
	}
	good := func() map[string]string {
		return map[string]string{
			"log-level": "debug", "user-expire": "1h", "max-parallel-moves": "7",
			"max-parallel-kicks": "3", "user-kick-delay": "5s",
		}
	}
	waitLine := func(message string) map[string]any {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if line := r.log.Line(message); line != nil {
				return line
			}
			// Another signal is taken only when the reload before it is done.
			r.signals <- syscall.SIGHUP
			next <- load(good())
		}
		t.Fatalf("no line %q in the log:\n%s", message, r.log)
		return nil
	}

	r.signals <- syscall.SIGHUP
	next <- load(map[string]string{"log-level": "debug", "user-expire": "1s"})
	r.signals <- syscall.SIGHUP // taken when the first is done
	if r.level.Sample(zerolog.DebugLevel) {
		t.Error("the level of bad settings was applied")
	}
	bad := r.log.Await("settings not reloaded, nothing has changed", 10*time.Second)
	if bad == nil || !strings.Contains(bad["problems"].([]any)[0].(string), "user-expire") {
		t.Errorf("log line %v does not tell the problem", bad)
	}
	r.wantReload(t, 0, 0)
	next <- load(good())
	line := waitLine("settings reloaded")
	want := []any{"user-kick-delay", "max-parallel-moves", "max-parallel-kicks", "log-level"}
	if diff := cmp.Diff(want, line["reloaded"]); diff != "" {
		t.Errorf("reloaded (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"user-expire"}, line["need_restart"]); diff != "" {
		t.Errorf("need a restart (-want +got):\n%s", diff)
	}
	if !r.level.Sample(zerolog.DebugLevel) {
		t.Error("the new level was not applied")
	}
	r.wantReload(t, 1, 1)
}

// wantReload compares the metrics of the last reload.
func (r *running) wantReload(t *testing.T, successful, needRestart float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.reloads.successful, r.reloads.needRestart)
	want := map[string]float64{
		"director_config_last_reload_successful": successful,
		"director_config_settings_need_restart":  needRestart,
	}
	if diff := cmp.Diff(want, metrictest.Values(t, registry)); diff != "" {
		t.Errorf("metrics of the reload (-want +got):\n%s", diff)
	}
}

// A second signal cuts the leaving short, even while a request is running, unless it came with the
// first one.
func TestSecondSignal(t *testing.T) {
	options := testOptions(t, map[string]string{"mail-servers": ""})
	r := start(t, options, nil)
	r.state(t, "READY=1")
	// A client that keeps a request open: it declares a body that never comes.
	c, err := net.Dial("unix", options.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /v1/kicks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if _, err := c.Read(make([]byte, 100)); err != nil { // 100 Continue: the handler reads
		t.Fatal(err)
	}
	began := time.Now()
	r.signals <- syscall.SIGTERM
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for ended := false; !ended; {
		select {
		case r.signals <- syscall.SIGTERM:
			<-again.C
		case err := <-r.ended:
			ended = true
			if !errors.Is(err, ErrForced) {
				t.Errorf("it ended with %v, want %v", err, ErrForced)
			}
		}
	}
	cutOff := r.log.Line("requests were cut off")
	if diff := cmp.Diff("a second signal ended it", cutOff["error"]); diff != "" {
		t.Errorf("why requests were cut off (-want +got):\n%s", diff)
	}
	if took := time.Since(began); took > doorsTimeout || took < impatience {
		t.Errorf("it took %v", took)
	}
}

func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := netip.MustParseAddrPort(taken.Addr().String())
	file := filepath.Join(socketDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, setting, value, want string
	}{
		{"mesh port in use", "bind", port.String(), "in use"},
		{"HTTP port in use", "http", port.String(),
			"in use by another process; choose another with --http"},
		{"run directory is a file", "run-dir", file, "not a directory"},
		{"foreign address", "bind", "10.255.255.1:0", "10.255.255.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options := testOptions(t, map[string]string{tt.setting: tt.value})
			d, err := New(Config{Options: options, LogOutput: io.Discard})
			if err == nil {
				d.Close()
				t.Fatal("it started")
			}
			if !strings.HasPrefix(err.Error(), tt.setting+": ") ||
				!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, tt.want)
			}
			if _, err := os.Stat(options.SocketPath()); err == nil {
				t.Error("the socket stays behind")
			}
		})
	}
}

// A socket whose process died is replaced; one that is served is not.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "director.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := listenUnix("run-dir", path, 0o600)
	if err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	if _, err := listenUnix("run-dir", path, 0o600); err == nil ||
		!strings.Contains(err.Error(), "another process serves") {
		t.Errorf("live socket: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing again: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// recorder is a kicker that remembers.
type recorder struct{ got kick.Target }

func (r *recorder) Kick(_ context.Context, t kick.Target) (kick.Result, error) {
	r.got = t
	return kick.Result{Count: 3, Known: true, Left: 2}, errors.New("x")
}

func TestKicker(t *testing.T) {
	r := &recorder{}
	got, err := kicker{r}.Kick(t.Context(), "ssd", replica.KickTarget{
		ByHash: true, Hash: 5, Keep: addr1, Backend: addr2, Field: "f", Value: "v",
	})
	if got != (replica.KickResult{Count: 3, Known: true, Left: 2}) || err == nil {
		t.Errorf("%+v, %v", got, err)
	}
	want := kick.Target{
		Tag: "ssd", ByHash: true, Hash: 5, Keep: addr1, Backend: addr2, Field: "f", Value: "v",
	}
	if r.got != want {
		t.Errorf("target %+v, want %+v", r.got, want)
	}
}

func TestLogFormats(t *testing.T) {
	var out bytes.Buffer
	log, level, lines := newLog(Options{NodeName: "d1", LogLevel: zerolog.WarnLevel}, &out)
	log.Info().Msg("quiet")
	log.Warn().Msg("loud")
	level.set(zerolog.DebugLevel)
	log.Debug().Msg("detail")
	lines.Close()
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"loud"`) ||
		!strings.Contains(got, `"detail"`) || !strings.Contains(got, `"director":"d1"`) {
		t.Errorf("log: %s", got)
	}
	out.Reset()
	log, _, lines = newLog(Options{LogText: true}, &out)
	log.Error().Str("peer", "d2").Msg("for people")
	lines.Close()
	got := out.String()
	if !strings.Contains(got, "ERR for people") || !strings.Contains(got, "peer=d2") {
		t.Errorf("text log: %s", got)
	}
}

func TestStatusText(t *testing.T) {
	peers := []replica.PeerStatus{{Self: true, Reachable: true}, {Reachable: true}, {}}
	tests := []struct {
		self replica.SelfStatus
		want string
	}{
		{replica.SelfStatus{Synced: true}, "synced, 1 peers reachable"},
		{replica.SelfStatus{Synced: true, Alone: true}, "synced, serving alone"},
		{replica.SelfStatus{Reason: "joining"}, "not synced: joining, 1 peers reachable"},
	}
	for _, tt := range tests {
		if got := statusText(tt.self, peers); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.self, got, tt.want)
		}
	}
}
