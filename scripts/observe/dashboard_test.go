package observe

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// panel is a panel of a Grafana dashboard.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, LegendFormat string }
}

// Each panel of the dashboard says what it shows and in what unit, shows what a director serves,
// and lies beside the others.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title  string
		UID    string
		Panels []panel
		// Templating has the variables that a viewer chooses.
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := map[string]bool{"__rate_interval": true} // which Grafana has
	for _, v := range dashboard.Templating.List {
		variables[v.Name] = true
		if v.Type == "query" {
			checkExpression(t, "variable "+v.Name, v.Definition)
		}
	}
	variable := regexp.MustCompile(`\$\{?(\w+)`)
	for _, m := range variable.FindAllStringSubmatch(string(read(t, "dashboard.json")), -1) {
		if !variables[m[1]] {
			t.Errorf("there is no variable $%s", m[1])
		}
	}
	if dashboard.Title == "" || dashboard.UID == "" || len(dashboard.Panels) < 20 {
		t.Fatalf("dashboard %q (%s) has %d panels",
			dashboard.Title, dashboard.UID, len(dashboard.Panels))
	}
	ids, titles, cells := make(map[int]bool), make(map[string]bool), make(map[[2]int]string)
	for _, p := range dashboard.Panels {
		if p.Title == "" || titles[p.Title] || ids[p.ID] {
			t.Errorf("panel %d %q has no title, or another one has it or the number", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if x >= 24 || cells[[2]int{x, y}] != "" {
					t.Fatalf("panel %q lies on %q, or outside", p.Title, cells[[2]int{x, y}])
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" ||
			len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q has description %q, unit %q, %d queries and asks %q", p.Title,
				p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets), p.Datasource.UID)
		}
		for _, target := range p.Targets {
			if target.LegendFormat == "" || !strings.Contains(target.Expr, `job="$job"`) {
				t.Errorf("panel %q: query %s has legend %q, or is not of the chosen job",
					p.Title, target.Expr, target.LegendFormat)
			}
			checkExpression(t, "panel "+p.Title, target.Expr)
		}
	}
}

// Prometheus understands each query of the dashboard.
func TestQueries(t *testing.T) {
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries []any
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			query := strings.NewReplacer("$__rate_interval", "1m", "$job", "director").
				Replace(target.Expr)
			queries = append(queries, map[string]any{
				"record": fmt.Sprintf("query:%d", len(queries)), "expr": query,
			})
		}
	}
	file := t.TempDir() + "/rules.yml"
	write(t, file, map[string]any{"groups": []any{map[string]any{
		"name": "queries", "rules": queries,
	}}})
	promtool(t, nil, "check", "rules", file)
}
