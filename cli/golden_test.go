package cli

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

// What commands print is promised, down to the blanks.
func TestOutputs(t *testing.T) {
	socket := httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop())
	var out strings.Builder
	for _, command := range []string{
		"status", "status --json", "status alice", "status alice ssd --json",
		"map", "map --json", "map 192.0.2.51", "map -f -", "map --json -f -",
		"map -u USER@EXAMPLE.COM", "map -u a --json",
		"map -h 3045693125 -f -", "map -h 1 -f -", "map -h 1 -f - --json",
		"map -f /no/such/file 192.0.2.51",
		"dump", "dump --json",
		"ring status", "ring status --json", "keys list", "keys list --json",
		"balance", "balance --json", "health", "health -v", "health --json", "status -v",
		"status -v --json",
		"lookup alice", "lookup alice --json", "lookup -f -", "lookup -f - --json",
		"doctor", "doctor --json", "who", "who --json",
		"who alice@example.org", "who --host 192.0.2.51",
		"watch --once", "watch --once -n 3 --json", "watch --once --kinds peer,flush",
		"version", "version --json",
	} {
		args := strings.Fields(command)
		if args[0] != "version" && args[0] != "dump" {
			args = append(args, "-a", socket)
		}
		stdin := ""
		if strings.Contains(command, "-f -") {
			stdin = "USER@example.com\n\nuser@EXAMPLE.com\r\nnobody\tssd"
		}
		if args[0] == "dump" {
			args = append([]string{"-a", socket}, args...)
		}
		r := runCommand(t, stdin, args...)
		text := strings.ReplaceAll(r.stdout, socket, "SOCKET")
		text = versionPattern.ReplaceAllString(text, "go1")
		fmt.Fprintf(&out, "$ director %s\n%s", command, text)
		if r.stderr != "" {
			fmt.Fprintf(&out, "stderr: %s", r.stderr)
		}
		if r.status != 0 {
			fmt.Fprintf(&out, "exit status %d\n", r.status)
		}
	}
	golden(t, "outputs.txt", out.String())
}

// The three lines of a user's status, for each way in which one can be.
func TestStatusUser(t *testing.T) {
	d := httpapitest.Sample()
	at := *d.DirectorsIs.Directors[1].LastFailedAt
	ip := httpapitest.IP("10.12.90.17")
	tests := []struct {
		name string
		user api.User
		want string
	}{
		{"mapped",
			api.User{Mapped: true, Current: ip, ExpiresAt: &at, Hashed: ip, InitialConfig: ip},
			"Current: 10.12.90.17 (expires 2018-02-08 12:20:35)\nHashed: 10.12.90.17\n" +
				"Initial config: 10.12.90.17\n"},
		{"not mapped", api.User{Current: ip, Hashed: ip, InitialConfig: ip},
			"Current: 10.12.90.17 (not mapped)\nHashed: 10.12.90.17\n" +
				"Initial config: 10.12.90.17\n"},
		{"no usable backend", api.User{InitialConfig: ip},
			"Current: n/a (no usable backend)\nHashed: \nInitial config: 10.12.90.17\n"},
	}
	for _, tt := range tests {
		d.UserIs = func(ring.Tag, ring.UserHash) api.User { return tt.user }
		r := runCommand(t, "", "status", "alice", "-a", httpapitest.Serve(t, d, zerolog.Nop()))
		if r.stdout != tt.want || r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %+v, want %q", tt.name, r, tt.want)
		}
	}
}

// The help of every command.
func TestHelp(t *testing.T) {
	var out strings.Builder
	lines := []string{"help", "ring --help"}
	inv := &invocation{}
	for _, c := range inv.app().Commands {
		if c.Subcommands == nil {
			lines = append(lines, c.Name+" --help")
		}
		for _, sub := range c.Subcommands {
			lines = append(lines, "help "+c.Name+" "+sub.Name)
		}
	}
	for _, line := range lines {
		r := runCommand(t, "", strings.Fields(line)...)
		if r.status != 0 || r.stderr != "" {
			t.Errorf("%s: status %d, stderr %q", line, r.status, r.stderr)
		}
		fmt.Fprintf(&out, "$ director %s\n%s\n", line, r.stdout)
		for text := range strings.Lines(r.stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(text, "\n")); n > 80 {
				t.Errorf("%s: a line of %d characters: %s", line, n, text)
			}
		}
	}
	golden(t, "help.txt", out.String())
}

// A command that fails prints nothing on stdout when it was asked for JSON, however far it had
// come, and says on stderr as JSON why.
func TestFailureLeavesJSONEmpty(t *testing.T) {
	d := httpapitest.Sample()
	d.MappingsIs = make([]api.Mapping, 100000)
	for i := range d.MappingsIs {
		d.MappingsIs[i] = api.Mapping{UserHash: uint32(i), Backend: httpapitest.IP("192.0.2.1")}
	}
	cut := cutAfter(t, httpapitest.Serve(t, d, zerolog.Nop()), 1<<20)
	for _, command := range []string{
		"map --json", "status --json", "ring status --json", "keys list --json",
		"balance --json", "health --json", "status -v --json", "dump --json",
		"lookup x --json",
		"lookup --json -f /no/such/file",
	} {
		addr := cut
		if command != "map --json" {
			addr = "/no/such/socket"
		}
		r := runCommand(t, "", append(strings.Fields(command), "-a", addr)...)
		failed := description(t).Check("Failure", r.stderr)
		if r.stdout != "" || r.status == 0 || failed != nil {
			t.Errorf("%s: status %d, stdout of %d bytes, stderr %q",
				command, r.status, len(r.stdout), r.stderr)
		}
	}
}

// The exit status of health says how the backends are, to monitoring systems.
func TestHealthStatus(t *testing.T) {
	backend := func(health, state string, sees ...string) api.BackendHealth {
		b := api.BackendHealth{Health: health, State: state}
		for _, s := range sees {
			b.Observers = append(b.Observers, api.Observer{Sees: s})
		}
		return b
	}
	good := backend(api.HealthGood, api.StateUp, api.HealthGood)
	for _, test := range []struct {
		name   string
		change func(h *api.Health)
		want   int
	}{
		{"good", func(*api.Health) {}, 0},
		{"failing", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthFailing, api.StateUp))
		}, 1},
		{"failed", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthFailed, api.StateUp))
		}, 1},
		{"kept", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthKept, api.StateUp),
				backend(api.HealthFailed, api.StateUp))
		}, 2},
		{"failed and down", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthFailed, api.StateDown))
		}, 0},
		{"unseen", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthUnseen, api.StateUp))
		}, 0},
		{"a tie", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthUnseen, api.StateUp,
				api.HealthGood, api.HealthFailing))
		}, 1},
		{"cleared and failing", func(h *api.Health) {
			h.Backends = append(h.Backends, backend(api.HealthCleared, api.StateUp,
				api.HealthFailing))
		}, 1},
		{"alarm", func(h *api.Health) { h.Alarms = append(h.Alarms, api.HealthAlarm{}) }, 2},
		{"out of contact", func(h *api.Health) { h.OutOfContact = true }, 2},
		{"nobody checks", func(h *api.Health) { h.Watching = nil }, 65},
	} {
		d := httpapitest.Sample()
		d.HealthIs = api.Health{Watching: []string{"d1"}, Backends: []api.BackendHealth{good}}
		test.change(&d.HealthIs)
		r := runCommand(t, "", "health", "-a", httpapitest.Serve(t, d, zerolog.Nop()))
		if r.status != test.want {
			t.Errorf("%s: status %d, want %d; %s%s", test.name, r.status, test.want, r.stdout,
				r.stderr)
		}
	}
}
