package mono_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const monoPackage = "directormesh/mesh/mono"

// arithmetic are the operators that make no sense between moments.
var arithmetic = map[token.Token]bool{
	token.ADD: true, token.SUB: true, token.MUL: true, token.QUO: true, token.REM: true,
	token.ADD_ASSIGN: true, token.SUB_ASSIGN: true, token.MUL_ASSIGN: true,
	token.QUO_ASSIGN: true, token.REM_ASSIGN: true, token.INC: true, token.DEC: true,
}

// TestMomentsAreNotAdded forbids arithmetic with mono.Time but by its methods Add and Sub: the
// compiler takes the sum of two moments for a moment, and their difference too.
func TestMomentsAreNotAdded(t *testing.T) {
	list := exec.Command("go", "list", "-export", "-deps", "-f",
		`{{.ImportPath}}{{"\t"}}{{.Export}}{{"\t"}}{{.Dir}}{{"\t"}}{{join .GoFiles " "}}`+
			`{{"\t"}}{{join .Imports " "}}`, "../../...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	var users [][]string // packages that import mono
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		exports[fields[0]] = fields[1]
		if strings.Contains(" "+fields[4]+" ", " "+monoPackage+" ") {
			users = append(users, fields)
		}
	}
	if len(users) < 10 {
		t.Fatalf("only %d packages use %s", len(users), monoPackage)
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	checkMomentSums(t, fset, imports)
	for _, p := range users {
		var files []*ast.File
		for name := range strings.FieldsSeq(p[3]) {
			file, err := parser.ParseFile(fset, filepath.Join(p[2], name), nil,
				parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
		if _, err := (&types.Config{Importer: imports}).Check(p[0], fset, files, info); err != nil {
			t.Fatal(err)
		}
		for _, at := range momentSums(files, info) {
			t.Errorf("%s: arithmetic with mono.Time; use its methods Add and Sub",
				fset.Position(at))
		}
	}
}

// checkMomentSums demands that momentSums finds all kinds of sums, and nothing else.
func checkMomentSums(t *testing.T, fset *token.FileSet, imports types.Importer) {
	t.Helper()
	const source = `package sums
import ("time"; "directormesh/mesh/mono")
func sums(a, b mono.Time, d time.Duration) (mono.Time, bool) {
	_ = a + b // 1
	_ = b - a // 2
	a += 5    // 3
	a++       // 4
	const later = mono.Time(time.Hour) + 1
	return max(a.Add(d+d), later), a < b
}`
	file, err := parser.ParseFile(fset, "sums.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	files := []*ast.File{file}
	if _, err := (&types.Config{Importer: imports}).Check("sums", fset, files, info); err != nil {
		t.Fatal(err)
	}
	if found := momentSums(files, info); len(found) != 4 {
		t.Fatalf("%d of 4 sums found", len(found))
	}
}

// momentSums are the places where an arithmetic operator has a moment that is not a constant.
func momentSums(files []*ast.File, info *types.Info) (found []token.Pos) {
	moment := func(e ast.Expr) bool {
		kind, ok := info.Types[e].Type.(*types.Named)
		return ok && info.Types[e].Value == nil && kind.Obj().Name() == "Time" &&
			kind.Obj().Pkg() != nil && kind.Obj().Pkg().Path() == monoPackage
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if arithmetic[n.Op] && (moment(n.X) || moment(n.Y)) {
					found = append(found, n.OpPos)
				}
			case *ast.AssignStmt:
				if arithmetic[n.Tok] && moment(n.Lhs[0]) {
					found = append(found, n.TokPos)
				}
			case *ast.IncDecStmt:
				if moment(n.X) {
					found = append(found, n.TokPos)
				}
			}
			return true
		})
	}
	return found
}
