package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCodes compares the codes with the table of them in http.md. Only an unknown code and that of
// a bug are internal errors.
func TestCodes(t *testing.T) {
	declared := make(map[Code]int)
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared[Code(text)] = Code(text).Status()
		return true
	})
	page, err := os.ReadFile("../doc/http.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[Code]int)
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([45]\\d\\d) \\|")
	for _, m := range rows.FindAllStringSubmatch(string(page), -1) {
		documented[Code(m[1])], _ = strconv.Atoi(m[2])
	}
	if diff := cmp.Diff(documented, declared); diff != "" {
		t.Errorf("codes and statuses (-http.md +error.go):\n%s", diff)
	}
	for code, status := range declared {
		if (status == http.StatusInternalServerError) != (code == CodeInternal) {
			t.Errorf("%s has status %d", code, status)
		}
	}
	if got := Code("of a later version").Status(); got != http.StatusInternalServerError {
		t.Errorf("an unknown code has status %d", got)
	}
}
