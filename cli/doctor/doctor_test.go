package doctor

import (
	"context"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
)

// healthy is what a mesh of two says that has nothing wrong.
func healthy() (reports []Report, keys api.Keys, health api.Health) {
	for _, name := range []string{"d1", "d2"} {
		reports = append(reports, Report{
			Name: name, Version: "1.2.3", Synced: true, Table: "5ac0",
			ClockOff: 20 * time.Millisecond, Settings: []Value{{"user-kick-delay", "2s"}},
		})
		keys.Directors = append(keys.Directors, api.KeyDirector{Name: name})
	}
	keys.Keys = []api.Key{{ID: "5e0d1c3a", Directors: []string{"d1", "d2"}}}
	health.Backends = []api.BackendHealth{{
		State: api.StateUp, Health: api.HealthFailing, Observers: []api.Observer{
			{Director: "d1", Sees: api.HealthFailing, Reason: "imap:143: refused"},
			{Director: "d2", Sees: api.HealthGood},
		},
	}}
	return reports, keys, health
}

// codes are those of findings, with the directors that they are about.
func codes(all []api.Finding) string {
	var words []string
	for _, f := range all {
		words = append(words, strings.TrimSpace(f.Code+" "+f.Director))
		if f.Found == "" || f.Advice == "" || f.Severity != api.VerdictProblem &&
			f.Severity != api.VerdictWarning {
			words = append(words, "incomplete")
		}
	}
	return strings.Join(words, ", ")
}

// Each finding about the mesh, made to happen; nothing is found in a healthy one.
func TestMesh(t *testing.T) {
	for want, change := range map[string]func(r []Report, k *api.Keys, h *api.Health) []Silent{
		"": func([]Report, *api.Keys, *api.Health) []Silent { return nil },
		"unreachable d3": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].Unheard = []string{"d3"} // it goes without saying then
			return []Silent{{"d3", "it cannot be reached"}}
		},
		"split d1, split d2": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].Unheard, r[1].Unheard = []string{"d2"}, []string{"d1"}
			return nil
		},
		"alone d2": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[1].Alone = true
			return nil
		},
		"not_synced d2": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[1].Synced, r[1].Table = false, "other"
			return nil
		},
		"clock d1": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].ClockOff = -3 * time.Second
			return nil
		},
		"tables": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].Table = "other"
			return nil
		},
		"versions": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].Version = "1.2.2"
			return nil
		},
		"settings": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[0].Settings[0].Value = ""
			return nil
		},
		"keys": func(_ []Report, k *api.Keys, _ *api.Health) []Silent {
			k.Keys[0].Directors = []string{"d1"}
			return nil
		},
		"backend": func(_ []Report, _ *api.Keys, h *api.Health) []Silent {
			h.Backends[0].Observers[1].Sees = api.HealthFailing
			return nil
		},
		"auth d2": func(r []Report, _ *api.Keys, _ *api.Health) []Silent {
			r[1].Findings = []api.Finding{{Code: "auth", Director: "d2", Found: "x", Advice: "y",
				Severity: api.VerdictProblem}}
			return nil
		},
	} {
		reports, keys, health := healthy()
		silent := change(reports, &keys, &health)
		if got := codes(Mesh(reports, silent, Seen{Keys: keys, Health: health})); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	reports, keys, health := healthy()
	reports[0].Table, reports[0].Changing = "other", true
	keys.Keys[0].Directors, keys.Rotation = nil, &api.Rotation{}
	health.Backends[0].Observers, health.Backends[0].State = nil, api.StateDown
	if got := codes(Mesh(reports, nil, Seen{Keys: keys, Health: health})); got != "" {
		t.Errorf("what passes by itself is found: %s", got)
	}
}

// dovecot is a host on which nothing is wrong, in a directory.
func dovecot(t *testing.T) (h Host, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	login := filepath.Join(dir, "login")
	if err := os.WriteFile(login, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(login, 0o666); err != nil {
		t.Fatal(err)
	}
	return Host{
		Name:    "d1",
		Sockets: []Socket{{Path: login, User: "dovenull", Setting: "login-socket"}},
		Auths:   []string{auth(t, dir, "VERSION\t1\t1\n")},
		DovecotUser: func(string) (*user.User, error) {
			return &user.User{Uid: "4711", Gid: "4711", Username: "dovenull"}, nil
		},
		Descriptors: 65536, DataDir: dir,
		Free:  func(string) (uint64, uint64, error) { return 50 << 30, 100 << 30, nil },
		Login: true, Userdb: true, HashFormat: "%Lu",
		Doveconf: func(context.Context, string, ...string) string { return "%Lu" },
	}, dir
}

// auth answers at a socket as Dovecot's auth does, or otherwise; "" is no answer.
func auth(t *testing.T, dir, hello string) string {
	t.Helper()
	path := filepath.Join(dir, "auth"+strings.TrimSpace(strings.ReplaceAll(hello, "\t", "")))
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte(hello))
		}
	}()
	return path
}

// Each finding about a host, made to happen; nothing is found on a healthy one.
func TestHost(t *testing.T) {
	for name, test := range map[string]struct {
		want   string
		change func(t *testing.T, h *Host, dir string)
	}{
		"healthy":       {"", func(*testing.T, *Host, string) {}},
		"nothing known": {"", func(_ *testing.T, h *Host, _ string) { *h = Host{} }},
		"socket mode": {"socket d1", func(t *testing.T, h *Host, _ string) {
			chmod(t, h.Sockets[0].Path, 0o600)
		}},
		"socket directory": {"socket d1", func(t *testing.T, _ *Host, dir string) {
			chmod(t, dir, 0o700)
		}},
		"socket away": {"socket d1", func(_ *testing.T, h *Host, dir string) {
			h.Sockets[0].Path = filepath.Join(dir, "none")
		}},
		"socket of another": {"", func(t *testing.T, h *Host, _ string) {
			chmod(t, h.Sockets[0].Path, 0o600)
			h.DovecotUser = func(string) (*user.User, error) {
				return nil, user.UnknownUserError("dovenull")
			}
		}},
		"auth away": {"auth d1", func(_ *testing.T, h *Host, dir string) {
			h.Auths = append(h.Auths, filepath.Join(dir, "none"))
		}},
		"auth hangs": {"auth d1", func(t *testing.T, h *Host, dir string) {
			h.Auths = []string{auth(t, dir, "")}
		}},
		"no auth": {"auth d1", func(t *testing.T, h *Host, dir string) {
			h.Auths = []string{auth(t, dir, "* OK IMAP\n")}
		}},
		"fifo": {"fifo d1", func(t *testing.T, h *Host, dir string) {
			h.FIFOs = []string{fifo(t, dir), filepath.Join(dir, "none"), h.Sockets[0].Path}
		}},
		"fifo that is read": {"", func(t *testing.T, h *Host, dir string) {
			h.FIFOs = []string{fifo(t, dir)}
			f, err := os.OpenFile(h.FIFOs[0], os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
		}},
		"descriptors": {"descriptors d1", func(_ *testing.T, h *Host, _ string) {
			h.Descriptors = 1024
		}},
		"no kicker": {"no_kicker d1", func(_ *testing.T, h *Host, _ string) { h.NoKicker = true }},
		"disk": {"disk d1", func(_ *testing.T, h *Host, _ string) {
			h.Free = func(string) (uint64, uint64, error) { return 4 << 30, 100 << 30, nil }
		}},
		"small disk": {"disk d1", func(_ *testing.T, h *Host, _ string) {
			h.Free = func(string) (uint64, uint64, error) { return 200 << 20, 1 << 30, nil }
		}},
		"data directory": {"data_dir d1", func(_ *testing.T, h *Host, _ string) {
			h.DataProblem = "no space left"
		}},
		"own address": {"own_address d1", func(_ *testing.T, h *Host, _ string) {
			h.OwnAddress = "d7 is at it"
		}},
		"hash format": {"hash_format d1", func(_ *testing.T, h *Host, _ string) {
			h.HashFormat = "%Ln"
		}},
		"lmtp": {"lmtp_name d1", func(_ *testing.T, h *Host, _ string) {
			h.Doveconf = func(_ context.Context, setting string, filter ...string) string {
				if setting == "auth_username_format" && len(filter) > 0 {
					return "%Ln"
				}
				return "%Lu"
			}
		}},
		"lmtp elsewhere": {"", func(_ *testing.T, h *Host, _ string) {
			h.Userdb = false
			h.Doveconf = func(_ context.Context, _ string, filter ...string) string {
				return strings.Join(filter, "")
			}
			h.HashFormat = "-n"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h, dir := dovecot(t)
			test.change(t, &h, dir)
			if got := codes(h.Findings(t.Context())); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func fifo(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "proxy-notify")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each code is explained to operators, and no others are.
func TestCodesAreExplained(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "doc", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n## What doctor finds\n")
	section, _, _ = strings.Cut(section, "\n## ")
	source := ""
	for _, name := range []string{"report.go", "host.go", "names.go"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(raw)
	}
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for code := range strings.SplitSeq(cell, ", ") {
			code, quoted := strings.CutPrefix(code, "`")
			if quoted && !strings.Contains(source, `("`+strings.TrimSuffix(code, "`")+`", `) {
				t.Errorf("%s is explained, and never found", code)
			}
		}
	}
	for _, call := range []string{"problem(\"", "warning(\""} {
		for _, rest := range strings.Split(source, call)[1:] {
			code, _, _ := strings.Cut(rest, `"`)
			if !strings.Contains(section, "`"+code+"`") {
				t.Errorf("%s is not explained", code)
			}
		}
	}
}

func TestVerdict(t *testing.T) {
	f := func(severity string) api.Finding { return api.Finding{Severity: severity} }
	for want, all := range map[string][]api.Finding{
		api.VerdictHealthy: nil,
		api.VerdictWarning: {f(api.VerdictWarning), f(api.VerdictWarning)},
		api.VerdictProblem: {f(api.VerdictWarning), f(api.VerdictProblem), f(api.VerdictWarning)},
	} {
		if got := Verdict(all); got != want {
			t.Errorf("%v: %s, want %s", all, got, want)
		}
	}
}
