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

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/handover"
)

// metricsIntroduction begins the page; for codeQuoted.
const metricsIntroduction = `# Metrics

A director serves these at '/metrics', on 'director.sock' and at the addresses of
'--http' and '--metrics'. The address of '--metrics' serves nothing else but '/healthz' and
'/readyz', so it may be any. Counters start at zero with the process. A director has the two
'director_notify_…' metrics only if systemd, Dovecot or 'director hold' gave it the FIFO, and the
'director_web_…' metrics and 'director_http_refused_total' only with '--web-config-file'. It also
has those of Go ('go_…') and of the process ('process_…').

<!-- Made from a running director: go test ./cli/daemon -run TestMetricsDocument -update -->

| metric | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
`

// family is one metric as /metrics shows it.
type family struct {
	kind, help string
	labels     map[string]map[string]bool // values seen, by label
}

var (
	sampleLine = regexp.MustCompile(`^(\w+?)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// scrape reads the metrics of a director that are its own.
func scrape(t *testing.T, socket string) map[string]*family {
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
	families := make(map[string]*family)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, "director_") {
			continue
		}
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
		if f == nil { // a histogram's
			continue
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if f.labels[pair[1]] == nil {
				f.labels[pair[1]] = make(map[string]bool)
			}
			f.labels[pair[1]][pair[2]] = true
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
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
			if label == "version" {
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
		"kick-ipc": filepath.Join(dir, "ipc"),
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
	families := scrape(t, options.SocketPath())
	for name, f := range families {
		if (f.kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s; counters, and no others, end in _total", name, f.kind)
		}
		if !strings.HasSuffix(f.help, ".") || strings.Contains(f.help, "|") {
			t.Errorf("%s: help %q is no sentence for a table", name, f.help)
		}
	}
	document(t, "metrics.md", metricsDocument(families))
	checkReasons(t, families)
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
	var metric string
	for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(section, -1) {
		switch word := m[1]; {
		case strings.HasPrefix(word, "director_"):
			metric = word
			explained[metric] = make(map[string]bool)
		case metric != "":
			explained[metric][word] = true
		}
	}
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
