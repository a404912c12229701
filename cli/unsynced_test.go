package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unsyncedReasons are the beginnings of the reasons for which a director is not synced, from the
// source of the core.
func unsyncedReasons(t *testing.T) (reasons []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../mesh/replica/admission.go", nil,
		parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	giving := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "unsyncedReason" && f.Name.Name != "hindrance" {
			continue
		}
		giving++
		ast.Inspect(f, func(n ast.Node) bool {
			returned, ok := n.(*ast.ReturnStmt)
			if !ok {
				return true
			}
			if text := firstText(returned.Results[0]); text != "" {
				reasons = append(reasons, text)
			}
			return true
		})
	}
	if giving != 2 {
		t.Fatal("the functions that give the reasons have other names now; name them here")
	}
	return reasons
}

// firstText is the string that an expression begins with.
func firstText(e ast.Expr) string {
	for {
		sum, ok := e.(*ast.BinaryExpr)
		if !ok {
			return constantText(e)
		}
		e = sum.X
	}
}

// TestUnsyncedReasonsAreExplained compares the reasons with their table in the guide for operators.
func TestUnsyncedReasonsAreExplained(t *testing.T) {
	guide, err := os.ReadFile("doc/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## Why a director is not synced\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var explained []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+?)(?: NAME.*)?` \\|").
		FindAllStringSubmatch(section, -1) {
		explained = append(explained, m[1])
	}
	reasons := unsyncedReasons(t)
	for i, r := range reasons {
		reasons[i] = strings.TrimSpace(r)
		if !slices.Contains(explained, reasons[i]) {
			t.Errorf("operate.md does not explain %q", reasons[i])
		}
	}
	for _, e := range explained {
		// That of a refusal stands before the peer's own words.
		if !slices.Contains(reasons, e) && !strings.HasPrefix(e, "refused by a peer: ") {
			t.Errorf("operate.md explains %q, which is no reason", e)
		}
	}
}
