package daemon

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/handover"
)

// metricsIntroduction begins the page; for codeQuoted.
const metricsIntroduction = `# Metrics

A director serves these at '/metrics', on 'director.sock' and at the addresses of
'--http' and '--metrics'. The address of '--metrics' serves nothing else but '/healthz' and
'/readyz', so it may be any. Counters start at zero with the process. It also has those of Go
('go_…') and of the process ('process_…'). Alert rules and a dashboard are in
[scripts/observe](../../scripts/observe/README.md), of packages in '/usr/share/director/observe'.

Some metrics are there only where there is something to count:
'director_backend_health_checks_total' with '--health-check',
'director_name_resolves' with a name in '--mail-servers', 'director_backend_sessions' and
'director_sessions_listed_timestamp_seconds' where sessions are listed, the two
'director_notify_…' metrics if systemd, Dovecot or 'director hold' gave the director the FIFO, the 'director_web_…' metrics and
'director_http_refused_total' with '--web-config-file'.

The labels 'backend' and 'tag' are the address of a backend of the table and its tag, 'peer' is the
name of another director. There is one time series of a kind for each, so 200 backends and 50
directors make about 4,000 at each director.

<!-- Made from a running director: go test ./cli/daemon -run TestMetricsDocument -update -->

| metric | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
`

// family is one metric as /metrics shows it.
type family struct {
	kind, help string
	labels     map[string]map[string]bool // values seen, by label
}

// openLabels are the labels whose values are those of the mesh, and not of a list in the program.
var openLabels = map[string]bool{
	"version": true, "director": true, "mesh": true, "backend": true, "tag": true, "peer": true,
	"name": true,
}

var (
	sampleLine = regexp.MustCompile(`^(\w+?)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// exposition returns the metrics of a director that are its own, line by line.
func exposition(t *testing.T, socket string) (exposed []string) {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	const url = "http://director/metrics"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "director_") {
			exposed = append(exposed, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return exposed
}

// familiesOf reads what a director exposes.
func familiesOf(t *testing.T, exposed []string) map[string]*family {
	t.Helper()
	families := make(map[string]*family)
	for _, line := range exposed {
		if text, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(text, " ")
			families[name] = &family{help: help, labels: make(map[string]map[string]bool)}
			continue
		}
		if text, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(text, " ")
			families[name].kind = kind
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %q is no sample", line)
		}
		f := families[m[1]]
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(m[1], end); ok && f == nil {
				f = families[base] // it is a histogram
			}
		}
		if f == nil {
			t.Fatalf("line %q belongs to no metric", line)
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if pair[1] == "le" { // a bucket's bound
				continue
			}
			if f.labels[pair[1]] == nil {
				f.labels[pair[1]] = make(map[string]bool)
			}
			f.labels[pair[1]][pair[2]] = true
		}
	}
	return families
}

// metricsDocument is cli/doc/metrics.md.
func metricsDocument(families map[string]*family) string {
	var text strings.Builder
	text.WriteString(codeQuoted(metricsIntroduction))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		unit := ""
		for _, u := range []string{"bytes", "seconds"} {
			if slices.Contains(strings.Split(name, "_"), u) {
				unit = u
			}
		}
		var labels []string
		for _, label := range slices.Sorted(maps.Keys(f.labels)) {
			values := slices.Sorted(maps.Keys(f.labels[label]))
			if openLabels[label] {
				labels = append(labels, "`"+label+"`")
				continue
			}
			labels = append(labels, fmt.Sprintf("`%s`: %s", label, strings.Join(values, ", ")))
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s | %s |\n",
			name, f.kind, unit, strings.Join(labels, "; "), f.help)
	}
	return text.String()
}

// TestMetricsDocument compares the document of the metrics with those of a director that has all
// doors, and holds their names to Prometheus' conventions.
func TestMetricsDocument(t *testing.T) {
	dir := socketDir(t)
	options, _ := accessOptions(t, map[string]string{
		"metrics": "127.0.0.1:0", "admin-tcp": "127.0.0.1:0",
		"kick-ipc": filepath.Join(dir, "ipc"), "health-check": "imap:143",
		"mail-servers": "192.0.2.1-192.0.2.2 mail.example.org",
	})
	notify := filepath.Join(dir, "proxy-notify")
	if err := syscall.Mkfifo(notify, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(notify, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := startHanded(t, options, &handover.Handed{
		Sockets: []handover.Socket{{Kind: handover.Notify, FIFO: fifo}},
	})
	r.state(t, "READY=1")
	peer := start(t, testOptions(t, map[string]string{
		"node-name": "d2", "join": r.MeshAddr().String(),
		"mail-servers": "192.0.2.1-192.0.2.2",
	}), nil)
	if err := peer.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	exposed := exposition(t, options.SocketPath())
	families := familiesOf(t, exposed)
	for deadline := time.Now().Add(10 * time.Second); families["director_name_resolves"] == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the name has not been looked up")
		}
		time.Sleep(10 * time.Millisecond)
		exposed = exposition(t, options.SocketPath())
		families = familiesOf(t, exposed)
	}
	for name, f := range families {
		if (f.kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s; counters, and no others, end in _total", name, f.kind)
		}
		if !strings.HasSuffix(f.help, ".") || strings.Contains(f.help, "|") {
			t.Errorf("%s: help %q is no sentence for a table", name, f.help)
		}
	}
	document(t, "metrics.md", metricsDocument(families))
	golden(t, filepath.Join("testdata", "metrics.txt"), withoutValues(exposed))
	checkReasons(t, families)
	for _, director := range []*running{peer, r} { // closing one that leaves is not for a test
		director.signals <- syscall.SIGTERM
		if err := director.wait(t); err != nil {
			t.Error(err)
		}
	}
}

// withoutValues are the metrics with 0 as each value, in the format that Prometheus reads.
func withoutValues(exposed []string) string {
	var text strings.Builder
	for _, line := range exposed {
		if !strings.HasPrefix(line, "#") {
			line = line[:strings.LastIndexByte(line, ' ')] + " 0"
		}
		text.WriteString(line + "\n")
	}
	return text.String()
}

// checkReasons demands that the guide for operators explains why each metric counts: the values of
// its labels reason and cause stand behind its name.
func checkReasons(t *testing.T, families map[string]*family) {
	t.Helper()
	guide, err := os.ReadFile(filepath.Join("..", "doc", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## Reasons in metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := make(map[string]map[string]bool) // by metric
	var metrics []string                          // those that the next values belong to
	named := false                                // the last word was a metric
	for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(section, -1) {
		switch word := m[1]; {
		case strings.HasPrefix(word, "director_"):
			if !named {
				metrics = nil
			}
			metrics, named = append(metrics, word), true
			explained[word] = make(map[string]bool)
		default:
			named = false
			for _, metric := range metrics {
				explained[metric][word] = true
			}
		}
	}
	// What the guide does not explain must be said there, behind the name of the metric.
	shown := make(map[string]map[string]bool)
	for name, f := range families {
		for _, label := range []string{"reason", "cause"} {
			if values := f.labels[label]; values != nil {
				shown[name] = values
			}
		}
	}
	if diff := cmp.Diff(shown, explained); diff != "" {
		t.Errorf("operate.md, Reasons in metrics (-served +explained):\n%s", diff)
	}
}
