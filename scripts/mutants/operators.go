package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
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

// helpers are what takes the place of a comparison so that its bound can be shifted.
var helpers = map[token.Token]string{
	token.LSS: "mutantLess", token.LEQ: "mutantLessOrEqual",
	token.GTR: "mutantGreater", token.GEQ: "mutantGreaterOrEqual",
}

// mutant is one change of one file.
type mutant struct {
	number int    // from 1, unique in the package
	file   string // path as the compiler knows it
	line   int    // from 1
	fn     string // the function or Type.Method that it is in
	kind   string
	code   string // the first line of what is changed
	turn   int    // from 1: which of the mutants that are alike but for the line
	edits  []edit
}

// what says what is changed in the file, in words that hold when its lines move.
func (m mutant) what() string {
	text := fmt.Sprintf("%s: %s | %s", m.fn, m.kind, m.code)
	if m.turn > 1 {
		text += fmt.Sprintf(" (%d)", m.turn)
	}
	return text
}

// find appends the mutants of a parsed file in the order of their places.
func (s *source) find(file *sourceFile) {
	f := &finder{source: s, file: file}
	for _, decl := range file.syntax.Decls {
		// Constants at the top level are limits and intervals. One more or less of them is a matter
		// of taste, which no test should fix.
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			f.name = functionName(fn)
			f.function(fn.Type, fn.Body)
		}
	}
}

// finder collects the mutants of one file. What it writes into the source does nothing unless the
// mutant is chosen when the program starts; and it always compiles, because what is dropped stays.
type finder struct {
	*source
	file *sourceFile
	name string // of the function
}

// functionName returns how mutants call a function or method.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	typ := fn.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// add begins a mutant.
func (f *finder) add(kind string, n ast.Node) *mutant {
	f.mutants = append(f.mutants, mutant{
		number: len(f.mutants) + 1, file: f.file.path, line: f.fset.Position(n.Pos()).Line,
		fn: f.name, kind: kind,
	})
	m := &f.mutants[len(f.mutants)-1]
	f.show(m, n)
	return m
}

// wrap puts text before and after a node; a # in it stands for the mutant's number.
func (f *finder) wrap(m *mutant, n ast.Node, before, after string) {
	before = strings.ReplaceAll(before, "#", strconv.Itoa(m.number))
	m.edits = append(m.edits, edit{f.offset(n.Pos()), f.offset(n.End()), before, after, ""})
}

// replace puts text in the place of the bytes from p on.
func (f *finder) replace(m *mutant, p token.Pos, length int, text string) {
	from := f.offset(p)
	m.edits = append(m.edits, edit{from: from, to: from + length, text: text})
}

// negate lets a bool be the opposite.
func (f *finder) negate(m *mutant, n ast.Node) { f.wrap(m, n, "(mutantIs(#) != (", "))") }

// show lets a node be what is printed of a mutant.
func (f *finder) show(m *mutant, n ast.Node) {
	code, _, _ := bytes.Cut(f.file.text[f.offset(n.Pos()):f.offset(n.End())], []byte("\n"))
	m.code = string(code)
}

// showLine lets it be the line in which the node begins.
func (f *finder) showLine(m *mutant, n ast.Node) {
	at := f.offset(n.Pos())
	from := bytes.LastIndexByte(f.file.text[:at], '\n') + 1
	line, _, _ := bytes.Cut(f.file.text[from:], []byte("\n"))
	m.code = string(bytes.TrimSpace(line))
}

// function finds the mutants of a function's body. Functions within it are visited by themselves,
// because their results are others.
func (f *finder) function(typ *ast.FuncType, body *ast.BlockStmt) {
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && f.info.Types[e].Value != nil {
			f.constant(e)
			return false
		}
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
		case *ast.KeyValueExpr:
			ast.Inspect(n.Value, visit)
			return false // a key may be an index, which must be a constant
		case *ast.IfStmt:
			f.condition(n.Cond)
			if n.Else == nil && leaves(n.Body) {
				f.wrap(f.add(dropGuard, n.Cond), n.Cond, "(!mutantIs(#) && (", "))")
			}
		case *ast.ForStmt:
			f.condition(n.Cond)
		case *ast.BinaryExpr:
			f.binary(n)
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
	}
	ast.Inspect(body, visit)
}

// hintsOnly reports whether a call makes something with a capacity. No test should depend on it.
func hintsOnly(call *ast.CallExpr) bool {
	if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "make" || len(call.Args) == 0 {
		return false
	}
	_, ok := call.Args[0].(*ast.MapType)
	return ok || len(call.Args) == 3
}

// leaves reports whether a block ends with leaving the function or a loop.
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
	f.negate(f.add(negateCondition, cond), cond)
}

func (f *finder) binary(n *ast.BinaryExpr) {
	arrow := func(to token.Token) string { return " " + n.Op.String() + " -> " + to.String() }
	if to, ok := negated[n.Op]; ok {
		f.negate(f.add(negateCondition+arrow(to), n), n)
	}
	if to, ok := shifted[n.Op]; ok {
		m := f.add(boundary+arrow(to), n)
		f.wrap(m, n, helpers[n.Op]+"(#, ", ")")
		f.replace(m, n.OpPos, len(n.Op.String()), ",")
	}
	before := "(mutantIs(#) || (" // an operand of && counts as true, without being evaluated
	switch n.Op {
	case token.LAND:
	case token.LOR:
		before = "(!mutantIs(#) && ("
	default:
		return
	}
	f.wrap(f.add(dropLeft+" of "+n.Op.String(), n), n.X, before, "))")
	f.wrap(f.add(dropRight+" of "+n.Op.String(), n), n.Y, before, "))")
}

// constant makes each integer in a constant greater and smaller by one. The whole constant is
// replaced: what it is made of has no type of its own.
func (f *finder) constant(n ast.Expr) {
	typ := f.typeOf(n)
	if typ == "" {
		return
	}
	from := f.offset(n.Pos())
	whole := string(f.file.text[from:f.offset(n.End())])
	ast.Inspect(n, func(part ast.Node) bool {
		lit, ok := part.(*ast.BasicLit)
		if !ok || lit.Kind != token.INT {
			return true
		}
		v, err := strconv.ParseInt(lit.Value, 0, 64)
		if err != nil {
			return true // above what an int64 holds
		}
		at := f.offset(lit.Pos()) - from
		for _, to := range []int64{v + 1, v - 1} {
			other := whole[:at] + strconv.FormatInt(to, 10) + whole[at+len(lit.Value):]
			converted := typ + "(" + other + ")"
			if _, err := types.Eval(f.fset, f.types, n.Pos(), converted); to < 0 || err != nil {
				continue // more than the type holds
			}
			m := f.add(fmt.Sprintf("%s %s -> %d", changeConstant, lit.Value, to), n)
			f.showLine(m, n)
			text := fmt.Sprintf("mutantNumber[%s](%d, %s, %s)", typ, m.number, replacedText, other)
			f.replace(m, n.Pos(), len(whole), text)
		}
		return true
	})
}

// typeOf returns how the file writes the type that a constant gets where it is used; "" if that is
// not the type of a number, or cannot be written.
func (f *finder) typeOf(n ast.Expr) string {
	typ := types.Default(f.info.TypeOf(n))
	basic, ok := typ.Underlying().(*types.Basic)
	if !ok || basic.Info()&(types.IsInteger|types.IsFloat) == 0 {
		return ""
	}
	written := true
	text := types.TypeString(typ, func(p *types.Package) string {
		if p == f.types {
			return ""
		}
		name, ok := f.file.imports[p.Path()]
		written = written && ok
		return name
	})
	if !written {
		return ""
	}
	return text
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
			m := f.add(swapReturn, v)
			f.negate(m, v)
			f.showLine(m, v)
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

func (f *finder) drop(kind string, s ast.Stmt) {
	f.wrap(f.add(kind, s), s, "if !mutantIs(#) { ", " }")
}

// toNothing reports whether an assignment has no effect beyond its right side.
func toNothing(s *ast.AssignStmt) bool {
	for _, v := range s.Lhs {
		if name, ok := v.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}
	return true
}
