package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// jsonType is what zerolog's methods write.
var jsonType = map[string]string{
	"Str": "string", "Stringer": "string", "Err": "string", "AnErr": "string", "Strs": "strings",
	"Bool": "bool",
	"Int":  "number", "Int64": "number", "Uint32": "number", "Uint64": "number",
	"Float64": "number",
}

// Every field of every log line has one type, and times have their unit in the name: who searches
// logs knows a field by its name.
func TestLogFields(t *testing.T) {
	fields := make(map[string]map[string]bool) // name → types
	note := func(name, kind string) {
		if fields[name] == nil {
			fields[name] = make(map[string]bool)
		}
		fields[name][kind] = true
	}
	for _, root := range []string{".", "../mesh"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			test := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "meshtest")
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || test {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr: // e.Str("name", …)
					method, ok := n.Fun.(*ast.SelectorExpr)
					name, literal := stringLiteral(n.Args, 2)
					if !ok || !literal {
						break
					}
					if method.Sel.Name == "Dur" {
						t.Errorf("%s: Dur writes a number without a unit", files.Position(n.Pos()))
					}
					if kind := jsonType[method.Sel.Name]; kind != "" && name != "" {
						note(name, kind)
					}
				case *ast.CompositeLit: // replica.Field{"name", …}, whose values are of many types
					if kind, ok := n.Type.(*ast.Ident); ok && kind.Name == "Field" {
						if name, ok := stringLiteral(n.Elts, 2); ok {
							note(name, "of the core")
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		delete(fields[name], "of the core")
		if len(fields[name]) > 1 {
			t.Errorf("field %q has several types: %v", name, slices.Sorted(maps.Keys(fields[name])))
		}
	}
	if len(fields["took_ms"]) == 0 || len(fields["user_hash"]) == 0 {
		t.Error("the fields of log lines are not found any more")
	}
}

// stringLiteral returns the first of so many expressions, if it is a string.
func stringLiteral(of []ast.Expr, count int) (string, bool) {
	if len(of) != count {
		return "", false
	}
	literal, ok := of[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
