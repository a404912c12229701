package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/doveadm"
	"directormesh/cli/door/webauth/webauthtest"
	"directormesh/cli/handover"
	"directormesh/cli/logtest"
)

// visitors is a listener with connections from these addresses.
type visitors struct {
	net.Listener
	from []string
}

func (v *visitors) Accept() (net.Conn, error) {
	if len(v.from) == 0 {
		return nil, net.ErrClosed
	}
	c := &visitor{from: v.from[0]}
	v.from = v.from[1:]
	return c, nil
}

type visitor struct {
	net.Conn
	from string
}

func (v *visitor) RemoteAddr() net.Addr {
	if v.from == "" { // nobody can tell
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(v.from), 4711))
}
func (v *visitor) Close() error { return nil }

// TestCrowd opens more connections from one client, and from all, than there may be.
func TestCrowd(t *testing.T) {
	const most, ofClient = 256, 64
	registry := prometheus.NewRegistry()
	metrics, err := newCrowdMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	log := new(logtest.Buffer)
	v := &visitors{}
	c := newCrowd("http", most, zerolog.New(log), metrics)
	accepted := func(from string, count int) (conns []net.Conn) {
		for range count {
			v.from = append(v.from, from)
		}
		for {
			conn, err := crowdListener{v, c, false}.Accept()
			if err != nil {
				return conns
			}
			conns = append(conns, conn)
		}
	}
	first := accepted("127.0.0.1", 10*ofClient)
	if len(first) != ofClient {
		t.Fatalf("%d connections of one client, want %d", len(first), ofClient)
	}
	if others := accepted("127.0.0.2", 1); len(others) != 1 {
		t.Error("one client keeps another out")
	}
	if unknown := accepted("", 2*ofClient); len(unknown) != 2*ofClient {
		t.Errorf("%d connections of clients that nobody can tell apart", len(unknown))
	}
	for i := 3; i < 10; i++ {
		accepted(netip.AddrFrom4([4]byte{127, 0, 0, byte(i)}).String(), ofClient)
	}
	want := map[string]float64{
		"director_door_connections": most, "director_door_connections_max": most,
		"address" + refusedClient: 9 * ofClient, refusedDoor: 6*ofClient + 1,
		"process" + refusedClient: 0, "user" + refusedClient: 0, "identity" + refusedClient: 0,
	}
	if diff := cmp.Diff(want, samples(t, registry)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", lines, log)
	}
	for _, conn := range first {
		conn.Close()
		conn.Close()
	}
	if again := accepted("127.0.0.1", 2*ofClient); len(again) != ofClient {
		t.Errorf("%d connections after those before were closed, want %d", len(again), ofClient)
	}
}

// TestCrowdOfProcesses checks that neither one process nor all of one user can have a door for
// themselves.
func TestCrowdOfProcesses(t *testing.T) {
	const most, mine = 400, 130
	registry := prometheus.NewRegistry()
	metrics, err := newCrowdMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(socketDir(t), "door")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd("login", most, zerolog.Nop(), metrics)
	var accepting sync.WaitGroup
	defer accepting.Wait()
	defer l.Close()
	accepting.Go(func() {
		var conns []net.Conn
		for {
			conn, err := crowdListener{l, c, false}.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			conn.Close()
		}
	})
	var idle []net.Conn
	for range mine {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	leave := fill(t, path)
	defer leave()
	others := fillers * (1 + lowLimit/fillers)
	want := map[string]float64{
		"director_door_connections": 3 * most / 4, "director_door_connections_max": most,
		"process" + refusedClient: mine - most/4, "user" + refusedClient: float64(others) - most/2,
		"address" + refusedClient: 0, "identity" + refusedClient: 0, refusedDoor: 0,
	}
	var got map[string]float64
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if got = samples(t, registry); cmp.Equal(want, got) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, conn := range idle {
		conn.Close()
	}
}

// TestCrowdedCloseRead checks that doors which end can let nothing more in.
func TestCrowdedCloseRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	inner, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := newCrowdMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	crowd := newCrowd("login", 1, zerolog.Nop(), metrics)
	conn := &crowdConn{Conn: inner, crowd: crowd}
	defer conn.Close()
	if err := conn.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "too late"); err == nil {
		t.Error("a client can still write")
	}
	if err := (&crowdConn{Conn: &visitor{}, crowd: crowd}).CloseRead(); err == nil {
		t.Error("no error for a connection that cannot do it")
	}
}

// TestShareOut holds the shares of all doors to what must be left for the mesh.
func TestShareOut(t *testing.T) {
	var doors []handover.Kind
	for _, r := range doorTable() {
		if r.unix != nil || r.tcp != nil {
			doors = append(doors, r.kind)
		}
	}
	for _, test := range []struct {
		limit uint64
		left  int // at least, for the mesh and the process
		login int // at least
	}{
		{256, 0, fewConnections},
		{512, 256, 24},
		{1024, 512, 100},
		{4096, 2048, 500},
		{65536, meshDescriptors + ownDescriptors, 20_000},
		{1 << 62, meshDescriptors + ownDescriptors, 20_000},
	} {
		shares := shareOut(test.limit, doors)
		taken := 0
		for k, n := range shares {
			if n < fewConnections || n > doorOf(k).takes.connections {
				t.Errorf("limit %d: %s gets %d connections", test.limit, k, n)
			}
			taken += n * doorOf(k).takes.cost
		}
		if left := int64(test.limit) - int64(taken); left < int64(test.left) {
			t.Errorf("limit %d: %d descriptors left, want %d", test.limit, left, test.left)
		}
		if shares[handover.Login] < test.login {
			t.Errorf("limit %d: %d logins, want %d", test.limit, shares[handover.Login], test.login)
		}
	}
}

const (
	// lowLimit is a limit of descriptors that one full door would use up.
	lowLimit = 512
	// crowdedVariable tells a child process of the test where it finds the directory of sockets.
	crowdedVariable = "DIRECTOR_TEST_CROWDED"
	// fillers is how many processes fill a door, fillerVariable tells one of them which door.
	fillers = 6
	// crowdedHTTP and crowdedMetrics are the files in that directory that tell the addresses of
	// --http and --metrics.
	crowdedHTTP    = "http"
	crowdedMetrics = "metrics"
	fillerVariable = "DIRECTOR_TEST_FILLS"
)

// TestCrowdedDoors fills each door of a director that may have few descriptors. The other doors and
// director.sock must answer, and the full one again when its clients have gone. The director is a
// process of its own: the limit is that of a process, and so is a client.
func TestCrowdedDoors(t *testing.T) {
	if dir := os.Getenv(crowdedVariable); dir != "" {
		serveCrowded(t, dir)
		return
	}
	if path := os.Getenv(fillerVariable); path != "" {
		sitIdle(path)
		return
	}
	dir := socketDir(t)
	options, log, end := startCrowded(t, dir)
	doors := questions(t, options)
	for full := range doors {
		t.Run(string(full), func(t *testing.T) {
			at := options.Socket(full)
			if at == "" {
				at = options.Doors[full].TCP
			}
			leave := fill(t, at)
			for door, answer := range doors {
				if err := answer(); err != nil && door != full {
					t.Errorf("%s is full, %s does not answer: %v", full, door, err)
				}
			}
			leave()
			began := time.Now()
			for err := doors[full](); err != nil; err = doors[full]() {
				if time.Since(began) > 10*time.Second {
					t.Fatalf("%s does not answer when its clients have gone: %v", full, err)
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	end() // it writes its log
	refusals := strings.Count(log.String(), "too many connections at a door")
	if refusals != len(doors) {
		t.Errorf("%d lines about %d full doors:\n%s", refusals, len(doors), log)
	}
}

// startCrowded starts the director of TestCrowdedDoors in a process of its own, with its files in a
// directory, and waits until it is ready. It writes its log when it is ended.
func startCrowded(t *testing.T, dir string) (options Options, log *logtest.Buffer, end func()) {
	t.Helper()
	for _, name := range []string{crowdedHTTP, crowdedMetrics} {
		free, err := net.Listen("tcp", "127.0.63.3:0")
		if err != nil {
			t.Fatal(err)
		}
		address := []byte(free.Addr().String())
		if err := os.WriteFile(filepath.Join(dir, name), address, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := free.Close(); err != nil {
			t.Fatal(err)
		}
	}
	child := exec.Command("/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, lowLimit),
		os.Args[0], "-test.run=^TestCrowdedDoors$", "-test.v")
	child.Env = append(os.Environ(), crowdedVariable+"="+dir)
	log = new(logtest.Buffer)
	child.Stdout, child.Stderr = log, log
	end = startChild(t, child)
	options = crowdedOptions(t, dir)
	control := client(t, options.SocketPath())
	deadline := time.Now().Add(30 * time.Second)
	for {
		self, err := control.Self(t.Context())
		if err == nil && self.Synced {
			return options, log, end
		}
		if time.Now().After(deadline) {
			t.Fatalf("the director is not ready: %v\n%s", err, log)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// questions has for each door what asks a question there, and fails without an answer.
func questions(t *testing.T, options Options) map[handover.Kind]func() error {
	t.Helper()
	lines := func(k handover.Kind, lines string) func() error {
		return func() error { return answers(options.Socket(k), lines) }
	}
	const hello = "VERSION\tdirector-authreply-client\t1\t0\n"
	lookup := func(addr string) func() error {
		return func() error {
			c, err := api.NewClient(addr)
			if err != nil {
				return err
			}
			defer c.Close() // an address may have few connections
			_, err = c.Lookup(t.Context(), api.LookupRequest{User: "bob"})
			return err
		}
	}
	questions := map[handover.Kind]func() error{
		handover.API: lookup(options.SocketPath()),
		handover.HTTP: func() error {
			c, err := api.NewClient(options.Doors[handover.HTTP].TCP)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Self(t.Context())
			return err
		},
		handover.Metrics: func() error {
			resp, err := http.Get("http://" + options.Doors[handover.Metrics].TCP + "/healthz")
			if err != nil {
				return err
			}
			http.DefaultClient.CloseIdleConnections()
			return resp.Body.Close()
		},
		handover.Admin: func() error {
			c, err := doveadm.Dial(t.Context(), options.Socket(handover.Admin))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Backends()
			return err
		},
		handover.Login:     lines(handover.Login, "AUTH\t1\tPLAIN\n"),
		handover.Userdb:    lines(handover.Userdb, "PASS\t2\tbob\n"),
		handover.Authreply: lines(handover.Authreply, hello+"OK\t3\tuser=bob\tproxy\n"),
	}
	for _, r := range doorTable() {
		if (r.unix != nil || r.tcp != nil) && questions[r.kind] == nil {
			t.Errorf("there is no question for the door %s", r.kind)
		}
	}
	return questions
}

// fill has several processes open more connections to a door than the director has descriptors.
// They stay open until the function that it returns is called.
func fill(t *testing.T, path string) (leave func()) {
	t.Helper()
	var all []func()
	for range fillers {
		child := exec.Command(os.Args[0], "-test.run=^TestCrowdedDoors$")
		child.Env = append(os.Environ(), fillerVariable+"="+path)
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, startChild(t, child))
		if _, err := output.Read(make([]byte, 1)); err != nil {
			t.Fatalf("clients of %s: %v", path, err)
		}
	}
	return func() {
		for _, end := range all {
			end()
		}
	}
}

// startChild starts a process that lives until its input ends: when the function that it returns is
// called, or the test is over.
func startChild(t *testing.T, child *exec.Cmd) (end func()) {
	t.Helper()
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		input.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("a process of the test: %v\n%s", err, child.Stdout)
		}
	})
	t.Cleanup(end)
	return end
}

// sitIdle is a process with connections to a door. It lives until its input ends.
func sitIdle(at string) {
	network := "unix"
	if !filepath.IsAbs(at) {
		network = "tcp"
	}
	var idle []net.Conn
	for range 1 + lowLimit/fillers {
		c, err := net.DialTimeout(network, at, 5*time.Second)
		if err != nil {
			break // the test sees what comes of it
		}
		idle = append(idle, c)
	}
	fmt.Println(len(idle))
	_, _ = os.Stdin.Read(make([]byte, 1))
	for _, c := range idle {
		c.Close()
	}
}

// answers reports whether a door answers these lines.
func answers(path, lines string) error {
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, lines); err != nil {
		return err
	}
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.Contains(in.Text(), "192.0.2.") {
			return nil
		}
	}
	return errors.New("the connection ended without an answer")
}

// samples are the values of metrics, by reason where they have one.
func samples(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, label := range m.GetLabel() {
				if label.GetName() == "reason" {
					key = label.GetValue()
				}
			}
			values[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

func crowdedOptions(t *testing.T, dir string) Options {
	t.Helper()
	address := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	flags := map[string]string{
		"http":               address(crowdedHTTP),
		"metrics":            address(crowdedMetrics),
		"run-dir":            filepath.Join(dir, "run"),
		"auth-login-socket":  filepath.Join(dir, "auth-login"),
		"auth-userdb-socket": filepath.Join(dir, "auth-userdb"),
	}
	files := &webauthtest.Files{Dir: dir}
	if _, err := os.Stat(files.Config()); err != nil {
		return testOptions(t, flags)
	}
	options, err := Load(accessFlags(t, files, flags), "", accessEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// serveCrowded is the director of TestCrowdedDoors. It lives until its input ends.
func serveCrowded(t *testing.T, dir string) {
	auth(t, filepath.Join(dir, "auth-login"), "OK", "user=bob\tproxy")
	auth(t, filepath.Join(dir, "auth-userdb"), "PASS", "user=bob\tproxy")
	r := startConfig(t, Config{Options: crowdedOptions(t, dir)})
	_, _ = os.Stdin.Read(make([]byte, 1))
	fmt.Print(r.log)
}
