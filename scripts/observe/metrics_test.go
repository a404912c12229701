package observe

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exposed is what a director serves at /metrics, without the values; the daemon's tests write it.
var exposed = filepath.Join("..", "..", "cli", "daemon", "testdata", "metrics.txt")

// promtool runs Prometheus' checker. It skips the test where there is none, but on CI.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool: apt-get install prometheus")
		}
		t.Skip("no promtool: apt-get install prometheus")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// write writes YAML, which JSON is too.
func write(t *testing.T, path string, content any) {
	t.Helper()
	text, err := json.Marshal(content)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The metrics are written as Prometheus reads them, and are named as it advises.
func TestExposition(t *testing.T) {
	promtool(t, read(t, exposed), "check", "metrics")
}

// series are the names of the time series that a director serves, and for each the values of its
// labels.
func series(t *testing.T) map[string]map[string]map[string]bool {
	t.Helper()
	all := make(map[string]map[string]map[string]bool)
	sample := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	for line := range strings.Lines(string(read(t, exposed))) {
		m := sample.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = make(map[string]map[string]bool)
		}
		for _, pair := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			if all[m[1]][pair[1]] == nil {
				all[m[1]][pair[1]] = make(map[string]bool)
			}
			all[m[1]][pair[1]][pair[2]] = true
		}
	}
	if len(all) < 50 {
		t.Fatalf("%s has %d time series", exposed, len(all))
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:director|process|go)_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	// others are metrics that are not the director's own, or that Prometheus makes.
	others = map[string]bool{"process_resident_memory_bytes": true}
	// open are labels whose values are those of a mesh, or of Prometheus.
	open = map[string]bool{
		"job": true, "instance": true, "backend": true, "tag": true, "peer": true,
		"director": true, "mesh": true, "version": true, "le": true,
	}
)

// checkExpression demands that a director serves what an expression selects: a metric or a label
// that was renamed would make it empty in silence.
func checkExpression(t *testing.T, where, expression string) {
	t.Helper()
	served := series(t)
	for _, m := range selector.FindAllStringSubmatch(expression, -1) {
		name, matchers := m[1], m[2]
		if others[name] {
			continue
		}
		labels, ok := served[name]
		if !ok {
			t.Errorf("%s: no director serves %s; cli/doc/metrics.md has the metrics", where, name)
			continue
		}
		for _, match := range matcher.FindAllStringSubmatch(matchers, -1) {
			label, operator, value := match[1], match[2], match[3]
			if open[label] {
				continue
			}
			values, ok := labels[label]
			if !ok {
				t.Errorf("%s: %s has no label %s", where, name, label)
				continue
			}
			alternatives := []string{value}
			if strings.HasSuffix(operator, "~") {
				alternatives = strings.Split(value, "|")
			}
			for _, alternative := range alternatives {
				if !someMatches(t, operator, alternative, values) {
					t.Errorf("%s: label %s of %s is never %q", where, label, name, alternative)
				}
			}
		}
	}
}

func someMatches(t *testing.T, operator, pattern string, values map[string]bool) bool {
	t.Helper()
	if !strings.HasSuffix(operator, "~") {
		return values[pattern]
	}
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		t.Fatal(err)
	}
	for value := range values {
		if whole.MatchString(value) {
			return true
		}
	}
	return false
}
