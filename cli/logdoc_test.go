package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constantText is a string that is written down, perhaps in several parts. Only its beginning
// matters.
func constantText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		return constantText(e.X)
	}
	return ""
}

// hasLevel reports whether a chain of calls begins a log line of level warn or error.
func hasLevel(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	level := method.Sel.Name == "Warn" || method.Sel.Name == "Error"
	return len(call.Args) == 0 && level || hasLevel(method.X)
}

// logLine is the text of a log line of level warn or error, empty for anything else.
func logLine(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CallExpr:
		method, ok := n.Fun.(*ast.SelectorExpr)
		switch {
		case ok && method.Sel.Name == "Msg" && len(n.Args) == 1 && hasLevel(method.X):
			return constantText(n.Args[0])
		case ok && method.Sel.Name == "logf" && len(n.Args) >= 2:
			level, ok := n.Args[0].(*ast.Ident)
			if ok && (level.Name == "LogWarn" || level.Name == "LogError") {
				return constantText(n.Args[1])
			}
		}
	case *ast.KeyValueExpr: // the texts of an auth door's troubles, and lines that are put together
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Text" {
			return constantText(n.Value)
		}
	}
	return ""
}

// noteMemberlist notes the texts of memberlist's lines: the constants, and those that stand in the
// table with a level of which the guide speaks.
func noteMemberlist(lines map[string]string, path string, spec *ast.ValueSpec) {
	for _, value := range spec.Values {
		if text := constantText(value); text != "" {
			lines[text] = path
		}
		table, ok := value.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for _, row := range table.Elts {
			cells := make(map[string]ast.Expr)
			for _, cell := range row.(*ast.CompositeLit).Elts {
				pair := cell.(*ast.KeyValueExpr)
				cells[pair.Key.(*ast.Ident).Name] = pair.Value
			}
			level := cells["level"].(*ast.SelectorExpr).Sel.Name
			text := constantText(cells["text"])
			if text != "" && (level == "WarnLevel" || level == "ErrorLevel") {
				lines[text] = path
			}
		}
	}
}

// inspectSource visits each node of the program's source, tests and their helpers left out.
func inspectSource(t *testing.T, visit func(path string, fset *token.FileSet, n ast.Node)) {
	t.Helper()
	for _, root := range []string{".", "../mesh"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			test := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "meshtest")
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || test {
				return err
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				visit(path, fset, n)
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// logLines are the texts of all log lines of level warn and error, with where they stand.
func logLines(t *testing.T) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	inspectSource(t, func(path string, _ *token.FileSet, n ast.Node) {
		if text := logLine(n); text != "" {
			lines[text] = path
		}
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasSuffix(path, "memberlog.go") {
			noteMemberlist(lines, path, spec)
		}
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == "texts" &&
			len(spec.Values) == 1 {
			for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
				lines[constantText(e.(*ast.KeyValueExpr).Value)] = path
			}
		}
	})
	return lines
}

var documentedLine = regexp.MustCompile("`([^`]+)`")

// TestLogLinesAreExplained checks that the guide for operators explains each warning and error, and
// no line that is not written any more. A line is known by how it begins.
func TestLogLinesAreExplained(t *testing.T) {
	raw, err := os.ReadFile("doc/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(raw), "\n## Log lines\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var explained []string
	for line := range strings.Lines(text) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range documentedLine.FindAllStringSubmatch(cells[0], -1) {
			explained = append(explained, m[1])
		}
	}
	written := logLines(t)
	if len(written) < 30 {
		t.Fatalf("only %d log lines found", len(written))
	}
	for line, path := range written {
		begins := func(e string) bool { return strings.HasPrefix(line, e) }
		if !slices.ContainsFunc(explained, begins) {
			t.Errorf("cli/doc/operate.md does not explain %q of %s", line, path)
		}
	}
	for _, e := range explained {
		found := false
		for line := range written {
			found = found || strings.HasPrefix(line, e)
		}
		if !found {
			t.Errorf("cli/doc/operate.md explains %q, which nothing writes", e)
		}
	}
}

// TestLogErrorsArePlain checks that no error reaches the log in Go's words: each passes through the
// package that words them, or is put into words by hand.
func TestLogErrorsArePlain(t *testing.T) {
	checked := 0
	inspectSource(t, func(_ string, fset *token.FileSet, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || method.Sel.Name != "Err" && method.Sel.Name != "AnErr" {
			return
		}
		checked++
		last, ok := call.Args[len(call.Args)-1].(*ast.CallExpr)
		if ok {
			from, isPackage := last.Fun.(*ast.SelectorExpr)
			ok = isPackage && from.Sel.Name == "Plain"
		}
		if !ok {
			t.Errorf("%s: an error is logged as it is; use wording.Plain", fset.Position(n.Pos()))
		}
	})
	if checked < 20 {
		t.Errorf("only %d errors found", checked)
	}
}
