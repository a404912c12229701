package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// declaredFuncs returns the functions and methods of a package's files: its own, or its tests'.
func declaredFuncs(t *testing.T, dir string, tests bool) (all []*ast.FuncDecl) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				all = append(all, f)
			}
		}
	}
	return all
}

// TestDoorsAreTested demands of each package of a door, which is one with a Server that serves,
// tests of its own and a fuzz target: it reads bytes from outside.
func TestDoorsAreTested(t *testing.T) {
	dirs, err := filepath.Glob("door/*")
	if err != nil {
		t.Fatal(err)
	}
	doors := 0
	for _, dir := range dirs {
		serves := false
		for _, f := range declaredFuncs(t, dir, false) {
			serves = serves || f.Recv != nil && f.Name.Name == "Serve"
		}
		if !serves {
			continue
		}
		doors++
		count := map[string]int{}
		for _, f := range declaredFuncs(t, dir, true) {
			for _, kind := range []string{"Test", "Fuzz"} {
				if f.Recv == nil && strings.HasPrefix(f.Name.Name, kind) {
					count[kind]++
				}
			}
		}
		if count["Test"] < 3 || count["Fuzz"] == 0 {
			t.Errorf("cli/%s has %d tests and %d fuzz targets; a door needs some of each",
				dir, count["Test"], count["Fuzz"])
		}
	}
	if doors < 3 {
		t.Fatalf("only %d doors found", doors)
	}
}

// TestHTTPServersLog demands an ErrorLog of every http.Server: without one net/http writes what
// strangers send to stderr, beside the log and unescaped.
func TestHTTPServersLog(t *testing.T) {
	found := 0
	inspectSource(t, func(_ string, fset *token.FileSet, n ast.Node) {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return
		}
		kind, ok := literal.Type.(*ast.SelectorExpr)
		if !ok || kind.Sel.Name != "Server" {
			return
		}
		if pkg, ok := kind.X.(*ast.Ident); !ok || pkg.Name != "http" {
			return
		}
		found++
		for _, field := range literal.Elts {
			pair, ok := field.(*ast.KeyValueExpr)
			if ok && pair.Key.(*ast.Ident).Name == "ErrorLog" {
				return
			}
		}
		t.Errorf("%s: an http.Server without ErrorLog", fset.Position(literal.Pos()))
	})
	if found == 0 {
		t.Fatal("no http.Server found")
	}
}
