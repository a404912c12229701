package observe

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var guide = filepath.Join("..", "..", "cli", "doc", "operate.md")

// rule is an alert rule of alerts.yml.
type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	if err := yaml.Unmarshal(read(t, "alerts.yml"), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("alerts.yml has no rules")
	}
	return all
}

// Prometheus takes the rules, and each alert happens, with its text, when it should and no earlier.
func TestAlertsHappen(t *testing.T) {
	promtool(t, nil, "check", "rules", "alerts.yml")
	promtool(t, nil, "test", "rules", "alerts_test.yml")
}

// Each alert says how bad it is, what is wrong, what that does to users, and where to read on.
func TestAlertsAreComplete(t *testing.T) {
	for _, r := range rules(t) {
		checkExpression(t, r.Alert, r.Expr)
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, annotation := range []string{"summary", "description"} {
			if text := r.Annotations[annotation]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s %q is no sentence", r.Alert, annotation, text)
			}
		}
		if want := "operate.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
			t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook"], want)
		}
	}
}

// The rules, their tests and the guide for operators have the same alerts in the same order.
func TestAlertsAreExplained(t *testing.T) {
	var alerts []string
	for _, r := range rules(t) {
		alerts = append(alerts, r.Alert)
	}
	_, section, _ := strings.Cut(string(read(t, guide)), "\n## Alerts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	entry := regexp.MustCompile(`(?m)^#### (\w+)\n\n(.+)$`)
	var explained []string
	for _, m := range entry.FindAllStringSubmatch(section, -1) {
		explained = append(explained, m[1])
	}
	if diff := cmp.Diff(alerts, explained); diff != "" {
		t.Errorf("alerts.yml and the section Alerts of cli/doc/operate.md; write an entry "+
			"\"#### NAME\" there for each alert, in the same order (-rules +guide):\n%s", diff)
	}

	var tests struct {
		Tests []struct {
			Rules []struct {
				Alertname string
				Expected  []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(read(t, "alerts_test.yml"), &tests); err != nil {
		t.Fatal(err)
	}
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range tests.Tests {
		for _, r := range test.Rules {
			if len(r.Expected) > 0 {
				fires[r.Alertname] = true
			} else {
				silent[r.Alertname] = true
			}
		}
	}
	slices.Sort(alerts)
	for what, tested := range map[string]map[string]bool{"fires": fires, "is silent": silent} {
		if diff := cmp.Diff(alerts, slices.Sorted(maps.Keys(tested))); diff != "" {
			t.Errorf("alerts.yml and alerts_test.yml; each alert needs a test where it %s "+
				"(-rules +tests):\n%s", what, diff)
		}
	}
}
