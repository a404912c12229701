package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/ring"
)

// The layout of doveadm's tables, step by step.
func TestTableLayout(t *testing.T) {
	tests := []struct {
		name    string
		columns []column
		rows    [][]string
		want    string
	}{
		{"half of the surplus to the last column", []column{{title: "a"}, {title: "bb"}},
			[][]string{{"xxx", "y"}},
			"a   bb" + strings.Repeat(" ", 37) + "\nxxx y " + strings.Repeat(" ", 37) + "\n"},
		{"half of the surplus to the expanding column",
			[]column{{title: "a", expands: true}, {title: "bb"}}, [][]string{{"xxx", "y"}},
			"a   " + strings.Repeat(" ", 37) + "bb\nxxx " + strings.Repeat(" ", 37) + "y \n"},
		{"no rows", []column{{title: "a"}, {title: "b"}},
			nil, "a b" + strings.Repeat(" ", 38) + "\n"},
		{"width in characters", []column{{title: "äöü"}, {title: "b"}}, [][]string{{"x", "y"}},
			"äöü b" + strings.Repeat(" ", 37) + "\nx   y" + strings.Repeat(" ", 37) + "\n"},
		// total is 11+1+79 = 91, 11 too many: the last column gives them all.
		{"too wide, the last column gives way", []column{{title: "a"}, {title: "b"}},
			[][]string{{strings.Repeat("x", 11), strings.Repeat("y", 79)}, {"x", "y"}},
			"a           b" + strings.Repeat(" ", 67) + "\n" + strings.Repeat("x", 11) +
				" " + strings.Repeat("y", 79) + "\n" +
				"x           y" + strings.Repeat(" ", 67) + "\n"},
		// total is 50+1+50 = 101, 21 too many; the last column has 10 to spare, gives half of them,
		// then the first gives 21.
		{"too wide, two columns give way",
			[]column{{title: strings.Repeat("a", 10)}, {title: strings.Repeat("b", 40)}},
			[][]string{{strings.Repeat("x", 50), strings.Repeat("y", 50)}},
			strings.Repeat("a", 10) + strings.Repeat(" ", 19) +
				" " + strings.Repeat("b", 40) + strings.Repeat(" ", 5) + "\n" +
				strings.Repeat("x", 50) + " " + strings.Repeat("y", 50) + "\n"},
	}
	for _, tt := range tests {
		var out strings.Builder
		table := newTable(&out, tt.columns...)
		for _, r := range tt.rows {
			if err := table.row(r...); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.end(); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("%s:\n%q\nwant\n%q", tt.name, out.String(), tt.want)
		}
	}
}

// Rows after the first hundred are printed as they come and do not change the layout.
func TestTableStreams(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, column{title: "n"}, column{title: "x"})
	for i := range 250 {
		cell := "short"
		if i >= layoutRows {
			cell = strings.Repeat("long", 100)
		}
		if err := table.row(fmt.Sprint(i), cell); err != nil {
			t.Fatal(err)
		}
		if len(table.pending) >= layoutRows {
			t.Fatalf("%d rows are kept back", len(table.pending))
		}
	}
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 252 || !strings.HasPrefix(lines[1], "0  short ") ||
		!strings.HasPrefix(lines[101], "100 longlong") {
		t.Errorf("%d lines, the 2nd %q, the 102nd %.20q", len(lines), lines[1], lines[101])
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "plain@x.y_z-1": "plain@x.y_z-1", "it's": `'it'\''s'`, "a b": "'a b'",
		"$x": "'$x'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

// A table with columns of ours is folded on a terminal that is too narrow: each line fits, and
// those below begin with the key.
func TestTableFolds(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, column{title: "director ip"}, column{title: "status"},
		column{title: "name"}, column{title: "reachable"})
	table.grows, table.folds, table.screen, table.key = true, true, 34, 2
	for _, row := range [][]string{
		{"127.0.0.11", "synced", "d1", "-"},
		{"127.0.0.12", "handshaking", "director-2.example.org", "no"},
	} {
		if err := table.row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	want := `director ip status
127.0.0.11  synced
127.0.0.12  handshaking

name                   reachable
d1                     -
director-2.example.org no
`
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		if n := len(strings.TrimSuffix(line, "\n")); n > 34 {
			t.Errorf("a line of %d characters: %q", n, line)
		}
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Names, tags and texts of others cannot steer a terminal, whatever command shows them.
func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "evil\x1b[2J\u009b31m\u202e\x07\nError: mended"
	d := httpapitest.Sample()
	for i := range d.DirectorsIs.Directors {
		d.DirectorsIs.Directors[i].Name, d.DirectorsIs.Directors[i].Reason = evil, evil
	}
	for i := range d.BackendsIs.Backends {
		d.BackendsIs.Backends[i].Tag, d.BackendsIs.Backends[i].State = evil, evil
	}
	d.HealthIs.Alarms = []api.HealthAlarm{{Tag: evil}}
	for i := range d.HealthIs.Backends {
		d.HealthIs.Backends[i].Tag, d.HealthIs.Backends[i].Health = evil, evil
		d.HealthIs.Backends[i].Observers = []api.Observer{
			{Director: evil, Sees: api.HealthFailing, Reason: evil},
		}
	}
	d.NamesAre = api.Names{
		Alarms: []api.NameAlarm{{Tag: evil}}, Names: []api.Name{{
			Name: evil, Tag: evil, Directors: []api.NameDirector{{Director: evil, Reason: evil}},
			Addresses: []api.NameAddress{{State: evil, SeenBy: []string{evil}}},
		}},
	}
	d.FlushesIs = func() api.Flushes {
		return api.Flushes{Flushes: []api.Flush{{Director: evil, ID: 4, Total: 2, Lost: true}}}
	}
	d.LookupIs = func(context.Context, ring.Tag, ring.UserHash) (api.IP, error) {
		return api.IP{}, api.Errorf(api.CodeTemporary, evil)
	}
	failing := false
	d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
		if failing {
			return api.Outcome{}, api.Errorf(api.CodeTimeout, evil)
		}
		return api.Outcome{
			FailedDirectors: []string{evil}, Flush: &api.FlushID{Director: evil, ID: 4},
		}, nil
	}
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	for _, command := range []string{
		"status", "status --json", "dump", "dump --json", "ring status", "ring status --json",
		"keys list", "health", "health -v", "health --json", "status -v",
		"lookup -f -", "lookup -f - --json", "lookup x",
		"map -f -", "map -f - --json", "map -h 1 -f -", "add 192.0.2.1", "up 192.0.2.1",
		"down -v 192.0.2.1", "move u 192.0.2.1 -v", "kick u -v",
		"flush all", "flush all --json", "flush -F all", "flush --watch", "flush --cancel",
		"ring add 192.0.2.1", "ring remove 192.0.2.1",
		"ring status --wait --timeout 1ms", "kick " + evil, "status " + evil, evil, "--" + evil,
		"status --" + evil, "down " + evil,
		"move u " + evil, "add 192.0.2.1 " + evil, "map -h " + evil,
		"flush --max-parallel " + evil + " all", "status -a " + evil,
		"import --from /" + evil, "bench --door " + evil, "completion " + evil, "man " + evil,
		"hold --socket " + evil + " -- x", "serve --log-level " + evil,
	} {
		for _, failing = range []bool{false, true} {
			args := strings.Split(command, " ")
			if !strings.HasPrefix(command, "serve") && !strings.HasPrefix(command, "hold") &&
				!strings.Contains(command, "-a ") {
				args = append(args, "-a", socket)
			}
			r := runCommand(t, strings.ReplaceAll(evil, "\n", " ")+"\xff\n", args...)
			for line := range strings.Lines(r.stdout + r.stderr) {
				text := strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " ")
				if api.Visible(text) != text || strings.HasPrefix(line, "Error: mended") {
					t.Errorf("%q: %q", command, line)
				}
			}
		}
	}
}

// A command remarks on sessions that it could not end, and shows them in JSON; the exit status
// stays.
func TestSessionsLeftAreRemarked(t *testing.T) {
	d := httpapitest.Sample()
	d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
		return api.Outcome{
			SessionsLeft: []api.SessionsLeft{{Director: "d2", Sessions: 3}},
			NoKicker:     []string{"d1", "d4"},
		}, nil
	}
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	want := "Warning: director d2 could not end 3 of the sessions; they go on where they are\n" +
		"Warning: open sessions stay where they are: d1, d4 cannot end any; " +
		"set kick-ipc, kick-anvil or kick-command there\n"
	for _, command := range []string{"kick alice", "move alice 192.0.2.1", "remove 192.0.2.1"} {
		r := runCommand(t, "", append(strings.Fields(command), "--json", "-a", socket)...)
		if r.status != 0 || r.stderr != want || !strings.Contains(r.stdout, `"sessions": 3`) ||
			!strings.Contains(r.stdout, `"d4"`) {
			t.Errorf("%s: %+v, want %q on stderr", command, r, want)
		}
	}
}

// A change that some disks have not kept is remarked on; one that none has kept ends with a status
// of its own.
func TestChangesThatAreNotKept(t *testing.T) {
	for _, test := range []struct {
		outcome api.Outcome
		status  int
		want    string
	}{
		{api.Outcome{}, 0, ""},
		{api.Outcome{NotKept: []string{"d2", "d3"}}, 0,
			"Warning: not yet on the disk of d2, d3; the change holds, but that director does " +
				"not keep it if all stop now\n"},
		{api.Outcome{NotKept: []string{"d1"}, KeptByNone: true}, exitTemporary,
			`{"error":{"code":"temporary_failure","message":"the change holds, but no director ` +
				`has it on its disk: it is lost if all stop now; see the log of d1"}}` + "\n"},
	} {
		d := httpapitest.Sample()
		d.OutcomeIs = func(api.Operation) (api.Outcome, error) { return test.outcome, nil }
		socket := httpapitest.Serve(t, d, zerolog.Nop())
		for _, command := range []string{
			"up 192.0.2.1", "move alice 192.0.2.1", "ring add 10.0.0.9",
		} {
			r := runCommand(t, "", append(strings.Fields(command), "--json", "-a", socket)...)
			if r.status != test.status || r.stderr != test.want ||
				!strings.Contains(r.stdout, `"not_kept": [`) {
				t.Errorf("%s: %+v, want %q", command, r, test.want)
			}
		}
	}
}

// A remark about a large mesh names a few directors and counts the others.
func TestRemarksNameFew(t *testing.T) {
	for n, want := range map[int]string{
		1: "d1", 3: "d1, d2, d3", 4: "d1, d2, d3, d4", 5: "d1, d2, d3 and 2 more",
	} {
		if got := someOf([]string{"d1", "d2", "d3", "d4", "d5"}[:n]); got != want {
			t.Errorf("%d directors are shown as %q, want %q", n, got, want)
		}
	}
}

func TestFormatMS(t *testing.T) {
	for ms, want := range map[float64]string{
		0: "0.0", -0.04: "0.0", 0.04: "0.0", -0.06: "-0.1", 1234.56: "1234.6",
	} {
		if got := formatMS(ms); got != want {
			t.Errorf("%v ms is shown as %q, want %q", ms, got, want)
		}
	}
}
