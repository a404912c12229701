package daemon

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"directormesh/cli/handover"
	"directormesh/mesh"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// testEnvironment has the variables and files given, a host name, and one name that resolves.
func testEnvironment(vars, files map[string]string) Environment {
	return Environment{
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Hostname: func() (string, error) { return "host1", nil },
		Resolve: func(host string) ([]ring.Target, error) {
			if host == "mail.example.org" {
				return []ring.Target{{
					Addr: netip.MustParseAddr("192.0.2.77"), VHosts: ring.DefaultVHosts,
				}}, nil
			}
			return nil, errors.New("no such host")
		},
	}
}

const (
	key1 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	key2 = "HxAdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

func TestDefaults(t *testing.T) {
	got, err := Load(nil, "", testEnvironment(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		NodeName: "host1", MeshName: "director", Bind: netip.MustParseAddrPort("0.0.0.0:9090"),
		UserExpire: 15 * time.Minute, UserKickDelay: 2 * time.Second, MaxParallelMoves: 100,
		MaxParallelKicks: 100, HistoryBytes: 256 << 20, HistoryAge: 30 * 24 * time.Hour,
		RunDir: "/run/director", LogLevel: zerolog.InfoLevel,
		Sessions: sessionOptions{Interval: 45 * time.Second},
		Events:   eventOptions{Kinds: []string{"health", "alarm", "peer", "drain"}},
		Balance:  balanceOptions{Source: wire.ProxySessions},
		Names:    nameOptions{Every: 30 * time.Second},
	}
	ignored := cmpopts.IgnoreFields(Options{}, "UsernameHash", "Auth", "Doors")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Options{}), ignored,
		cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if got.UsernameHash.String() != "%Lu" {
		t.Errorf("username hash %q, want %%Lu", got.UsernameHash)
	}
	own, admin := got.SocketPath(), got.Socket(handover.Admin)
	if own != "/run/director/director.sock" || admin != "/run/director/director-admin" {
		t.Errorf("sockets %q and %q", own, admin)
	}
}

func TestAllSettings(t *testing.T) {
	env := testEnvironment(nil, map[string]string{
		"/keys": "# first\n" + key1 + "\n\n" + key2 + "\n",
	})
	got, err := Load(map[string]string{
		"node-name": "d1", "mesh-name": "mail", "bind": "[2001:db8::1]:19090",
		"advertise":    "198.51.100.1",
		"join":         "d2.example.org, 198.51.100.3:9091 ,[2001:db8::4]:9092,2001:db8::5",
		"mail-servers": "192.0.2.1-192.0.2.2 192.0.2.9@ssd mail.example.org",
		"user-expire":  "20 mins", "user-kick-delay": "500ms", "username-hash": "%Ln",
		"max-parallel-moves": "7", "max-parallel-kicks": "8",
		"kick-command": "/bin/sh -c true", "run-dir": "/tmp/x", "socket-mode": "0660",
		"http":             "127.0.0.1:9091",
		"encrypt-key-file": "/keys", "log-level": "debug", "log-format": "text",
		"admin-socket": "/run/dovecot/director-admin", "admin-socket-mode": "0660",
		"balance": "dryrun", "balance-load": "agent:8081", "resolve-every": "5s",
		"admin-tcp": "[::1]:9092", "history-size": "64M", "history-age": "7 days",
	}, "", env)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.values) != len(Settings()) {
		t.Errorf("%d values, want one for each of %d settings", len(got.values), len(Settings()))
	}
	addr := netip.MustParseAddr
	want := Options{
		NodeName: "d1", MeshName: "mail", Bind: netip.MustParseAddrPort("[2001:db8::1]:19090"),
		Advertise: netip.MustParseAddrPort("198.51.100.1:9090"),
		Join: []string{
			"d2.example.org", "198.51.100.3:9091", "[2001:db8::4]:9092", "2001:db8::5",
		},
		Backends: []ring.Backend{
			{Addr: addr("192.0.2.1"), VHosts: 100}, {Addr: addr("192.0.2.2"), VHosts: 100},
			{Addr: addr("192.0.2.9"), Tag: "ssd", VHosts: 100},
			{Addr: addr("192.0.2.77"), Name: "mail.example.org", VHosts: 100},
		},
		UserExpire: 20 * time.Minute, UserKickDelay: 500 * time.Millisecond, MaxParallelMoves: 7,
		MaxParallelKicks: 8,
		KickCommand:      "/bin/sh -c true", RunDir: "/tmp/x",
		HistoryBytes: 64 << 20, HistoryAge: 7 * 24 * time.Hour,
		LogLevel: zerolog.DebugLevel, LogText: true,
		Sessions: sessionOptions{Interval: 45 * time.Second},
		Events:   eventOptions{Kinds: []string{"health", "alarm", "peer", "drain"}},
		Balance: balanceOptions{
			Mode: wire.BalanceDryRun, Source: wire.BusyPercent, AgentPort: 8081,
		},
		Names: nameOptions{
			Every: 5 * time.Second, Names: []ring.HostName{{Host: "mail.example.org"}},
		},
	}
	ignored := cmpopts.IgnoreFields(Options{}, "UsernameHash", "Keys", "ReadKeys", "Auth", "Doors")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Options{}), ignored,
		cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	endpoints := map[handover.Kind]Endpoint{
		handover.API: {Mode: 0o660}, handover.HTTP: {TCP: "127.0.0.1:9091"},
		handover.Admin: {Socket: "/run/dovecot/director-admin", Mode: 0o660, TCP: "[::1]:9092"},
	}
	for k, want := range endpoints {
		if got.Doors[k] != want {
			t.Errorf("%s is at %+v, want %+v", k, got.Doors[k], want)
		}
	}
	if len(got.Keys) != 2 || got.Keys[0][1] != 1 || got.Keys[1][0] != 31 {
		t.Errorf("keys %v", got.Keys)
	}
}

// A flag wins over the environment, that over the file, that over the default.
func TestPrecedence(t *testing.T) {
	const path = "/etc/director.yml"
	file := map[string]string{path: "mesh-name: file\nuser_expire: 1h\nlog-level: warn\n"}
	vars := map[string]string{
		"DIRECTOR_MESH_NAME": "env", "DIRECTOR_USER_EXPIRE": "2h", "DIRECTOR_ADDR": "not a setting",
	}
	got, err := Load(map[string]string{"mesh-name": "flag"}, path, testEnvironment(vars, file))
	if err != nil {
		t.Fatal(err)
	}
	if got.MeshName != "flag" || got.UserExpire != 2*time.Hour ||
		got.LogLevel != zerolog.WarnLevel || got.MaxParallelMoves != 100 {
		t.Errorf("mesh name %q, expire %v, level %v, moves %d; want flag, 2h, warn, 100",
			got.MeshName, got.UserExpire, got.LogLevel, got.MaxParallelMoves)
	}
}

func TestFileLists(t *testing.T) {
	got, err := Load(nil, "/c", testEnvironment(nil, map[string]string{"/c": "join:\n- d1\n" +
		"- d2:9091\nmail_servers: [192.0.2.1, 192.0.2.2@x]\nmax-parallel-moves: 5\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"d1", "d2:9091"}, got.Join); diff != "" {
		t.Errorf("join (-want +got):\n%s", diff)
	}
	if len(got.Backends) != 2 || got.Backends[1].Tag != "x" || got.MaxParallelMoves != 5 {
		t.Errorf("backends %v, moves %d", got.Backends, got.MaxParallelMoves)
	}
}

// Each wrong value is refused with the setting's name, where it came from, and what would be right.
func TestBadSettings(t *testing.T) {
	tests := []struct{ setting, value, want string }{
		{"node-name", "a b", "character"},
		{"node-name", strings.Repeat("x", 300), "is longer than 255 bytes"},
		{"mesh-name", "", "is empty"},
		{"bind", "localhost:9090", "is not IP or IP:PORT"},
		{"bind", "9090", "is not IP or IP:PORT"},
		{"advertise", "9090", "is not IP or IP:PORT"},
		{"join", "9090", "is not HOST or HOST:PORT"},
		{"insecure", "maybe", "is not yes or no"},
		{"bind", "192.0.2.1:99999", "port"},
		{"bind", "192.0.2.1:9090:1", "not IP or IP:PORT"},
		{"advertise", "0.0.0.0", "no address that others could reach"},
		{"advertise", "x", "not IP or IP:PORT"},
		{"join", "d1:port", "port"},
		{"join", "d1:0", "port"},
		{"join", ":9090", "HOST"},
		{"join", "d1/x", "HOST"},
		{"mail-servers", "10.0.0.9-", "range has no end"},
		{"mail-servers", "10.0.0.9-10.0.0.1", "ends before it starts"},
		{"mail-servers", "10.0.0.1-10.0.9.1", "too large"},
		{"mail-servers", "10.0.0.1 10.0.0.1", "10.0.0.1"},
		{"resolve-every", "3m", "is not in 1s to 2m0s"},
		{"user-expire", "9s", "too low"},
		{"user-expire", "soon", "not a duration"},
		{"user-expire", "15", "not a duration"},
		{"user-kick-delay", "-1s", "not from 0s to 20s"},
		{"user-kick-delay", "1m", "not from 0s to 20s"},
		{"username-hash", "%q", "%q"},
		{"max-parallel-moves", "0", "not a number from 1"},
		{"max-parallel-moves", "10001", "too high; the most is 10000"},
		{"max-parallel-kicks", "many", "not a number from 1"},
		{"kick-command", "/no/such/program", "/no/such/program"},
		{"run-dir", "", "empty"},
		{"run-dir", "/" + strings.Repeat("x", 100), "most is 107"},
		{"socket-mode", "rw", "octal"},
		{"socket-mode", "1777", "octal"},
		{"http", "0.0.0.0:9091", "not a loopback address"},
		{"http", "192.0.2.1:9091", "not a loopback address"},
		{"http", ":9091", "not a loopback address"},
		{"http", "9091", "not IP:PORT"},
		{"http", "127.0.0.1:x", "port"},
		{"encrypt-key-file", "/none", "cannot be read"},
		{"encrypt-key-file", "/short", "line 2 has 3 bytes; a key has 32"},
		{"encrypt-key-file", "/text", "line 1 is not base64"},
		{"encrypt-key-file", "/empty", "has no key"},
		{"encrypt-key-file", "/twice", "line 2 repeats"},
		{"encrypt-key-file", "/many", "has 17 keys"},
		{"backend-doveadm", "0", "is not PORT or PORT+tls"},
		{"backend-doveadm", "8080+ssl", "is not PORT or PORT+tls"},
		{"backend-doveadm-key", "/none", "cannot be read"},
		{"backend-doveadm-key", "/text2", "is not one line"},
		{"health-check", "imap", "has no port"},
		{"health-check", "http:80", "is no check"},
		{"balance", "yes", "is not off, dryrun or on"},
		{"balance-load", "agent:0", "is not agent:PORT"},
		{"balance-load", "agent", "is not sessions, backends or agent:PORT"},
		{"health-login", "/none", "cannot be read"},
		{"health-login", "/text", "is not USER:PASSWORD"},
		{"log-level", "loud", "debug, info, warn or error"},
		{"log-format", "xml", "json or text"},
		{"admin-socket", strings.Repeat("x", 100), "most is 107"},
		{"admin-socket", "/" + strings.Repeat("x", 107), "most is 107"},
		{"admin-socket-mode", "0999", "octal"},
		{"admin-tcp", "192.0.2.1:9091", "not a loopback address"},
	}
	many := ""
	for i := range 17 {
		many += string(rune('A'+i)) + key1[1:] + "\n"
	}
	env := testEnvironment(nil, map[string]string{
		"/short": "# a key\nAAAA\n", "/text": "secret words", "/text2": "a\nb",
		"/empty": "# none\n",
		"/twice": key1 + "\n" + key1 + "\n", "/many": many,
	})
	for _, tt := range tests {
		_, err := Load(map[string]string{tt.setting: tt.value}, "", env)
		var config *ConfigError
		if !errors.As(err, &config) || len(config.Problems) != 1 {
			t.Errorf("%s=%q: %v, want one problem", tt.setting, tt.value, err)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, tt.setting+": ") || !strings.Contains(text, tt.want) ||
			!strings.HasSuffix(text, "(from flag --"+tt.setting+")") {
			t.Errorf("%s=%q: %q, want %q in it", tt.setting, tt.value, text, tt.want)
		}
		if strings.Contains(text, "secret") || strings.Contains(text, "AAAA") {
			t.Errorf("%s=%q: the error %q shows what is in the key file",
				tt.setting, tt.value, text)
		}
	}
}

// All problems are shown at once, whatever their source.
func TestAllProblems(t *testing.T) {
	file := "user-expire: 5s\nuser_expir: 5m\nmesh-name: ~\nbind: {a: b}\ndirector_join: x\n" +
		"log-level: info\nlog_level: warn\njoin: [[1]]\nzzz: 1\n"
	_, err := Load(map[string]string{"http": "x"}, "/c", testEnvironment(map[string]string{
		"DIRECTOR_LOG_FORMAT": "xml",
	}, map[string]string{"/c": file}))
	want := `user_expir: is no setting; is it user-expire that you mean? (from /c line 2)
mesh-name: has no value; remove the line or give one (from /c line 3)
bind: is not a plain value (from /c line 4)
director_join: is no setting; is it join that you mean? (from /c line 5)
log-level: is there already: /c line 6 (from /c line 7)
join: item 1 of the list is not a plain value (from /c line 8)
zzz: is no setting (from /c line 9)
user-expire: "5s" is too low; the least is 10s (from /c line 1)
log-format: "xml" is not json or text (from environment variable DIRECTOR_LOG_FORMAT)
http: "x" is not IP:PORT (from flag --http)`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestBadFiles(t *testing.T) {
	tests := []struct{ text, want string }{
		{"- a\n", "is not a list of settings"},
		{"hello", "is not a list of settings"},
		{"a: [", "did not find"},
		{"\x00", "control characters"},
	}
	for _, tt := range tests {
		_, err := Load(nil, "/c", testEnvironment(nil, map[string]string{"/c": tt.text}))
		if err == nil || !strings.HasPrefix(err.Error(), "/c: ") ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("file %q: %v, want %q", tt.text, err, tt.want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "~\n"} {
		env := testEnvironment(nil, map[string]string{"/c": text})
		if _, err := Load(nil, "/c", env); err != nil {
			t.Errorf("file %q: %v", text, err)
		}
	}
	if _, err := Load(nil, "/none", testEnvironment(nil, nil)); err == nil ||
		!strings.Contains(err.Error(), "/none: cannot be read") {
		t.Errorf("missing file: %v", err)
	}
}

func TestParseDuration(t *testing.T) {
	tests := map[string]time.Duration{
		"15m": 15 * time.Minute, "1m30s": 90 * time.Second, "15 mins": 15 * time.Minute,
		"30 secs": 30 * time.Second, "30sec": 30 * time.Second,
		"2 h": 2 * time.Hour, "1 day": 24 * time.Hour, "100 msecs": 100 * time.Millisecond,
		"1 minute": time.Minute,
	}
	for text, want := range tests {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "m", "15", "15 parsecs", "99999999999 days", "-5 mins", "5 mins 3 secs",
	} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// Any file gives values of known settings, or problems that say which file.
func FuzzParseFile(f *testing.F) {
	for _, text := range []string{
		"", "user-expire: 15m\n", "join: [a, b]\n", "a: &a [*a]\n", "? [x]\n: y\n",
		"mail-servers: |\n  192.0.2.1\n  192.0.2.2\n", "<<: {bind: x}\n", "\xff\xfe",
	} {
		f.Add([]byte(text))
	}
	known := make(map[string]bool)
	for _, s := range Settings() {
		known[s.Name] = true
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		values, problems := parseFile("/c", raw)
		for name := range values {
			if !known[name] {
				t.Errorf("a value for %q, which is no setting", name)
			}
		}
		for _, p := range problems {
			if !strings.Contains(p.String(), "/c") {
				t.Errorf("problem %q does not name the file", p)
			}
		}
	})
}

// Any key file gives keys of the right size, or an error that does not show a line of it.
func FuzzParseKeys(f *testing.F) {
	for _, text := range []string{
		"", key1, key1 + "\r\n" + key2, "# c\n\n", "AAAA", strings.Repeat("A", 70000),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeys("/k", raw)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and error %v", len(keys), err)
		}
		for _, k := range keys {
			if len(k) != mesh.KeySize {
				t.Errorf("key of %d bytes", len(k))
			}
		}
	})
}

// Settings that a reload applies, and no others, are documented as such.
func TestSettingsAreDescribed(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Settings() {
		if seen[s.Name] || s.Usage == "" || s.Value == "" || strings.Contains(s.Name, "_") {
			t.Errorf("setting %+v is not described well, or is there twice", s.Name)
		}
		seen[s.Name] = true
		if reloads := s.apply != nil; reloads != strings.Contains(s.Usage, "SIGHUP") {
			t.Errorf("%s: reloads is %v, but its usage says %q", s.Name, reloads, s.Usage)
		}
		want := "DIRECTOR_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
		if s.EnvVar() != want {
			t.Errorf("%s: environment variable %q, want %q", s.Name, s.EnvVar(), want)
		}
	}
}

// TestExposure checks where a mesh without a key may listen.
func TestExposure(t *testing.T) {
	host := []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.1.2.3"),
		netip.MustParseAddr("2a00::1"),
	}
	for _, test := range []struct {
		name     string
		settings map[string]string
		more     string // an address more that the host has
		bad      string // that is refused, "" if none is
	}{
		{"private host", nil, "", ""},
		{"shared address", nil, "100.64.1.1", ""},
		{"address of documents", nil, "192.0.2.1", ""},
		{"public host", nil, "9.9.9.9", "9.9.9.9"},
		{"public host, private bind", map[string]string{"bind": "10.1.2.3"}, "9.9.9.9", ""},
		{"public bind", map[string]string{"bind": "11.1.1.1:1"}, "", "11.1.1.1"},
		{"public bind of IPv6", map[string]string{"bind": "[::]:1"}, "", "2a00::1"},
		{"public advertise", map[string]string{"bind": "10.1.2.3", "advertise": "11.1.1.1"},
			"", "11.1.1.1"},
		{"key", map[string]string{"encrypt-key-file": "/keys"}, "9.9.9.9", ""},
		{"insecure", map[string]string{"insecure": "yes"}, "9.9.9.9", ""},
	} {
		env := testEnvironment(nil, map[string]string{"/keys": key1})
		env.Addresses = func() ([]netip.Addr, error) {
			if test.more == "" {
				return host, nil
			}
			return append(slices.Clone(host), netip.MustParseAddr(test.more)), nil
		}
		_, err := Load(test.settings, "", env)
		switch {
		case (err == nil) != (test.bad == ""):
			t.Errorf("%s: %v", test.name, err)
		case err != nil && (!strings.Contains(err.Error(), test.bad+" is a public address") ||
			strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v, want one line about %s", test.name, err, test.bad)
		}
	}
}

func TestKeyFileModes(t *testing.T) {
	for mode, good := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o604: false, 0o620: false,
		0o666:                    false,
		fs.ModeNamedPipe | 0o666: true, // a descriptor that a shell or a service manager made
	} {
		env := testEnvironment(nil, map[string]string{"/keys": key1})
		env.Mode = func(string) (fs.FileMode, error) { return mode, nil }
		_, err := Load(map[string]string{"encrypt-key-file": "/keys"}, "", env)
		if (err == nil) != good ||
			err != nil && !strings.Contains(err.Error(), "chmod 0600 /keys") {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

// TestUnansweredNames tells name servers that do not answer from names that are wrong.
func TestUnansweredNames(t *testing.T) {
	for list, temporary := range map[string]bool{
		"late.example.org":                       true,
		"192.0.2.1 late.example.org@ssd":         true,
		"late.example.org later.example.org":     true,
		"late.example.org wrong.example.org":     false,
		"late.example.org 10.0.0.9-":             false,
		"wrong.example.org":                      false,
		"late.example.org late.example.org@x y:": false,
	} {
		env := testEnvironment(nil, nil)
		env.Resolve = func(host string) ([]ring.Target, error) {
			if strings.HasPrefix(host, "late") {
				return nil, unanswered("no answer")
			}
			return nil, errors.New("no such host")
		}
		_, err := Load(map[string]string{"mail-servers": list, "resolve-every": "0s"}, "", env)
		var config *ConfigError
		if !errors.As(err, &config) || config.Temporary() != temporary {
			t.Errorf("%q: %v; temporary is not %v", list, err, temporary)
		}
	}
}

// What NewKey returns is a key file, and no two are the same.
func TestNewKey(t *testing.T) {
	lines := NewKey() + "\n" + NewKey() + "\n"
	if keys, err := parseKeys("/k", []byte(lines)); err != nil || len(keys) != 2 {
		t.Errorf("%q: %d keys, %v", lines, len(keys), err)
	}
}

// Loads must come from somewhere.
func TestBalanceNeedsLoads(t *testing.T) {
	for _, test := range []struct {
		settings map[string]string
		problem  string
	}{
		{map[string]string{"balance": "on"}, "nothing here lists sessions"},
		{map[string]string{"balance": "dryrun", "balance-load": "backends"}, "cannot be asked"},
		{map[string]string{"balance": "on", "balance-load": "agent:8081"}, ""},
		{map[string]string{"balance": "on", "kick-ipc": "/run/dovecot/ipc"}, ""},
		{map[string]string{"balance": "off"}, ""},
	} {
		_, err := Load(test.settings, "", testEnvironment(nil, nil))
		if (err == nil) != (test.problem == "") ||
			err != nil && !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%v: %v, want %q", test.settings, err, test.problem)
		}
	}
}
