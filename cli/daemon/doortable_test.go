package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/handover"
)

// TestDoorTable holds the table to what the rest of the program takes from it.
func TestDoorTable(t *testing.T) {
	var kinds []handover.Kind
	fields := make(map[string]bool)
	for _, r := range doorTable() {
		kinds = append(kinds, r.kind)
		if r.who == "" || r.may == "" {
			t.Errorf("%s: the document does not tell who may do what", r.kind)
		}
		if fields[r.field()] {
			t.Errorf("%s: its field %q in the start-up line is another's", r.kind, r.field())
		}
		fields[r.field()] = true
		listens := r.unix != nil || r.tcp != nil
		if serves := r.serve != nil || r.sameAs != ""; serves != listens {
			t.Errorf("%s: it listens: %v, it has a server: %v", r.kind, listens, serves)
		}
		if listens && (r.takes.connections < fewConnections || r.takes.cost < 1) {
			t.Errorf("%s takes %+v", r.kind, r.takes)
		}
	}
	if diff := cmp.Diff(handover.Kinds(), kinds); diff != "" {
		t.Errorf("kinds that can be handed over (-), and doors (+):\n%s", diff)
	}
}

// doorsTable is the table of cli/doc/security.md.
func doorsTable() string {
	var text strings.Builder
	text.WriteString("| door | where | who may connect | what they may do |\n")
	text.WriteString("| --- | --- | --- | --- |\n")
	for _, r := range doorTable() {
		var at []string
		if u := r.unix; u != nil {
			path := fmt.Sprintf("`--%s` (`%s`)", u.setting, u.file)
			if u.usage == "" {
				path = "`" + u.file + "`"
			}
			at = append(at, fmt.Sprintf("%s, mode `--%s-mode` (%s)", path, u.setting, u.mode))
		}
		if r.tcp != nil {
			which := "loopback addresses only"
			switch {
			case r.tcp.any:
				which = "any address"
			case r.tcp.guarded:
				which = "loopback addresses, any with `--web-config-file`"
			}
			at = append(at, fmt.Sprintf("`--%s` (nowhere), %s", r.tcp.setting, which))
		}
		if at == nil {
			at = []string{"the FIFO of `proxy-notify`, handed over (0666)"}
		}
		where := strings.Join(at, "; ")
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", r.kind, where, r.who, r.may)
	}
	return text.String()
}

// TestDoorsDocument compares the table of doors in the document with the doors.
func TestDoorsDocument(t *testing.T) {
	const name, mark = "security.md", "go test ./cli/daemon -run TestDoorsDocument -update -->\n\n"
	page, err := os.ReadFile(filepath.Join("..", "doc", name))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), mark)
	_, after, ends := strings.Cut(rest, "|\n\n")
	if !found || !ends {
		t.Fatalf("%s has no table of doors", name)
	}
	document(t, name, before+mark+doorsTable()+"\n"+after)
}

// TestPackagedSockets holds the units of systemd to the doors, each of which but the API's has one.
func TestPackagedSockets(t *testing.T) {
	packaging := filepath.Join("..", "..", "scripts", "packaging")
	for _, r := range doorTable() {
		if r.unix == nil || r.kind == handover.API {
			continue
		}
		path := filepath.Join(packaging, "director-"+string(r.kind)+".socket")
		unit, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, line := range []string{
			"/" + filepath.Base(r.unix.file), // of ListenStream=
			"SocketMode=" + r.unix.mode,
			"FileDescriptorName=" + string(r.kind),
		} {
			if !strings.Contains(string(unit), line+"\n") {
				t.Errorf("%s has no line that ends in %q", path, line)
			}
		}
		for _, file := range []string{
			filepath.Join(packaging, "director.service"),
			filepath.Join(packaging, "deb", "postinst"), filepath.Join(packaging, "deb", "prerm"),
			filepath.Join(packaging, "deb", "postrm"), filepath.Join(packaging, "rpm", "post"),
			filepath.Join(packaging, "rpm", "preun"),
			filepath.Join("..", "doc", "install.md"),
		} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), filepath.Base(path)) {
				t.Errorf("%s does not name %s", file, filepath.Base(path))
			}
		}
	}
}
