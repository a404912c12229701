package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
)

// The kinds of mutants.
const (
	negateCondition = "negate condition"
	boundary        = "boundary"
	dropLeft        = "drop left"
	dropRight       = "drop right"
	dropGuard       = "drop guard"
	dropCall        = "drop call"
	dropAssignment  = "drop assignment"
	swapReturn      = "swap return"
	changeConstant  = "change constant"
)

// negated and shifted say what takes the place of a comparison.
var (
	negated = map[token.Token]token.Token{
		token.EQL: token.NEQ, token.NEQ: token.EQL,
		token.LSS: token.GEQ, token.GEQ: token.LSS,
		token.GTR: token.LEQ, token.LEQ: token.GTR,
	}
	shifted = map[token.Token]token.Token{
		token.LSS: token.LEQ, token.LEQ: token.LSS,
		token.GTR: token.GEQ, token.GEQ: token.GTR,
	}
)

// edit replaces the bytes from..to of a file.
type edit struct {
	from, to int
	text     string
}

// mutant is one change of one file.
type mutant struct {
	file  string // path as the compiler knows it
	line  int    // from 1
	kind  string
	code  string // the first line of what is changed
	edits []edit // in order, without overlap
}

// apply returns the changed source. No line moves.
func (m mutant) apply(src []byte) []byte {
	var b bytes.Buffer
	at := 0
	for _, e := range m.edits {
		b.Write(src[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(src[at:])
	return b.Bytes()
}

// mutantsOf returns all mutants of a source file in the order of their places.
//
// What is dropped stays in the source, where it is never evaluated. So a mutant compiles even if it
// drops the only use of a variable or an import.
func mutantsOf(file string, src []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{file: file, src: src, fset: fset}
	for _, decl := range parsed.Decls {
		// Constants at the top level are limits and intervals. One more or less of them is a matter
		// of taste, which no test should fix.
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			f.function(fn.Type, fn.Body)
		}
	}
	slices.SortStableFunc(f.found, func(a, b mutant) int { return a.edits[0].from - b.edits[0].from })
	return f.found, nil
}

// finder collects the mutants of one file.
type finder struct {
	file  string
	src   []byte
	fset  *token.FileSet
	found []mutant
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// add notes a mutant. Its edits are what surrounds the node, or replaces a part of it.
func (f *finder) add(kind string, n ast.Node, edits ...edit) {
	line := f.fset.Position(n.Pos()).Line
	f.found = append(f.found, mutant{file: f.file, line: line, kind: kind, edits: edits})
	f.show(n)
}

// show lets a node be what is printed of the mutant that was found last.
func (f *finder) show(n ast.Node) {
	code, _, _ := bytes.Cut(f.src[f.offset(n.Pos()):f.offset(n.End())], []byte("\n"))
	f.found[len(f.found)-1].code = string(code)
}

// showLine lets it be the line in which the node begins.
func (f *finder) showLine(n ast.Node) {
	at := f.offset(n.Pos())
	line, _, _ := bytes.Cut(f.src[bytes.LastIndexByte(f.src[:at], '\n')+1:], []byte("\n"))
	f.found[len(f.found)-1].code = string(bytes.TrimSpace(line))
}

// wrap puts text before and after a node.
func (f *finder) wrap(kind string, n ast.Node, before, after string) {
	from, to := f.offset(n.Pos()), f.offset(n.End())
	f.add(kind, n, edit{from, from, before}, edit{to, to, after})
}

// replace puts text in the place of the bytes from p on.
func (f *finder) replace(kind string, n ast.Node, p token.Pos, length int, text string) {
	from := f.offset(p)
	f.add(kind, n, edit{from, from + length, text})
}

// function finds the mutants of a function's body. Functions within it are visited by themselves,
// because their results are others.
func (f *finder) function(typ *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.function(n.Type, n.Body)
			return false
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.ArrayType:
			return false // a length
		case *ast.CallExpr:
			return !hintsOnly(n)
		case *ast.IfStmt:
			f.condition(n.Cond)
			if n.Else == nil && leaves(n.Body) {
				f.wrap(dropGuard, n.Cond, "false && (", ")")
			}
		case *ast.ForStmt:
			f.condition(n.Cond)
		case *ast.BinaryExpr:
			f.binary(n)
		case *ast.BasicLit:
			f.constant(n)
		case *ast.ReturnStmt:
			f.returned(typ, n)
		case *ast.BlockStmt:
			f.statements(n.List)
		case *ast.CaseClause:
			f.statements(n.Body)
		case *ast.CommClause:
			f.statements(n.Body)
		}
		return true
	})
}

// hintsOnly tells whether a call makes something with a capacity. No test should depend on it.
func hintsOnly(call *ast.CallExpr) bool {
	if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "make" || len(call.Args) == 0 {
		return false
	}
	_, ok := call.Args[0].(*ast.MapType)
	return ok || len(call.Args) == 3
}

// leaves tells whether a block ends with leaving the function or a loop.
func leaves(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	}
	return false
}

// condition negates a whole condition. Comparisons are negated wherever they are.
func (f *finder) condition(cond ast.Expr) {
	if cond == nil {
		return
	}
	if b, ok := cond.(*ast.BinaryExpr); ok && negated[b.Op] != 0 {
		return
	}
	f.wrap(negateCondition, cond, "!(", ")")
}

func (f *finder) binary(n *ast.BinaryExpr) {
	operator := func(kind string, to token.Token) {
		f.replace(kind+" "+n.Op.String()+" -> "+to.String(), n, n.OpPos, len(n.Op.String()), to.String())
	}
	if to, ok := negated[n.Op]; ok {
		operator(negateCondition, to)
	}
	if to, ok := shifted[n.Op]; ok {
		operator(boundary, to)
	}
	before, after := "(true || (", "))" // neither operand of && is evaluated, but counts as true
	switch n.Op {
	case token.LAND:
	case token.LOR:
		before, after = "(false && (", "))"
	default:
		return
	}
	f.wrap(dropLeft+" of "+n.Op.String(), n.X, before, after)
	f.show(n)
	f.wrap(dropRight+" of "+n.Op.String(), n.Y, before, after)
	f.show(n)
}

// constant makes an integer greater and smaller by one.
func (f *finder) constant(n *ast.BasicLit) {
	if n.Kind != token.INT {
		return
	}
	v, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil {
		return // above what an int64 holds
	}
	for _, to := range []int64{v + 1, v - 1} {
		if to >= 0 {
			text := strconv.FormatInt(to, 10)
			f.replace(changeConstant+" -> "+text, n, n.Pos(), len(n.Value), text)
			f.showLine(n)
		}
	}
}

// returned swaps what a function returns as a bool. Comparisons are negated elsewhere.
func (f *finder) returned(typ *ast.FuncType, n *ast.ReturnStmt) {
	if typ.Results == nil {
		return
	}
	var bools []bool
	for _, field := range typ.Results.List {
		name, ok := field.Type.(*ast.Ident)
		for range max(1, len(field.Names)) {
			bools = append(bools, ok && name.Name == "bool")
		}
	}
	if len(bools) != len(n.Results) {
		return // the results of one call, or named ones
	}
	for i, v := range n.Results {
		if b, ok := v.(*ast.BinaryExpr); bools[i] && (!ok || negated[b.Op] == 0) {
			f.wrap(swapReturn, v, "!(", ")")
			f.showLine(n)
		}
	}
}

// statements drops calls, sends and assignments, one at a time.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			call, ok := s.X.(*ast.CallExpr)
			if !ok {
				continue
			}
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
				continue // what must not happen
			}
			f.drop(dropCall, s)
		case *ast.GoStmt, *ast.DeferStmt, *ast.SendStmt:
			f.drop(dropCall, s)
		case *ast.IncDecStmt:
			f.drop(dropAssignment, s)
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || toNothing(s) {
				continue
			}
			f.drop(dropAssignment, s)
		}
	}
}

func (f *finder) drop(kind string, s ast.Stmt) { f.wrap(kind, s, "if false { ", " }") }

// toNothing tells whether an assignment has no effect beyond its right side.
func toNothing(s *ast.AssignStmt) bool {
	for _, v := range s.Lhs {
		if name, ok := v.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}
	return true
}
