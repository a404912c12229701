package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Name       string
	GoFiles    []string // those that this system and architecture build
	Export     string   // file with the types of a dependency
	DepOnly    bool
}

// listPackage asks the go command, run in dir, for one package and what it depends on.
// The dependencies are the files with their types, by path.
func listPackage(
	ctx context.Context, dir, pattern string,
) (p pkg, deps map[string]string, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps",
		"-json=ImportPath,Dir,Name,GoFiles,Export,DepOnly", pattern)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return pkg{}, nil, fmt.Errorf("go list %s: %w\n%s", pattern, err, errs.Bytes())
	}
	deps = make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var next pkg
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			return p, deps, nil
		} else if err != nil {
			return pkg{}, nil, fmt.Errorf("go list %s: %w", pattern, err)
		}
		switch {
		case next.DepOnly:
			deps[next.ImportPath] = next.Export
		case p.ImportPath != "":
			return pkg{}, nil, fmt.Errorf("%s are several packages: break one at a time", pattern)
		default:
			p = next
		}
	}
}

// source is a package with all its mutants.
type source struct {
	pkg
	fset    *token.FileSet
	files   []*sourceFile
	types   *types.Package
	info    types.Info
	mutants []mutant // in the order of files and places
}

type sourceFile struct {
	path    string
	text    []byte
	syntax  *ast.File
	imports map[string]string // path to the name by which the file uses it
}

// read parses and checks a package and finds its mutants.
func read(p pkg, deps map[string]string) (*source, error) {
	s := &source{pkg: p, fset: token.NewFileSet()}
	s.info.Types = make(map[ast.Expr]types.TypeAndValue)
	var syntax []*ast.File
	for _, name := range slices.Sorted(slices.Values(p.GoFiles)) {
		f := &sourceFile{path: filepath.Join(p.Dir, name)}
		var err error
		if f.text, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		f.syntax, err = parser.ParseFile(s.fset, f.path, f.text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
		syntax = append(syntax, f.syntax)
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(deps[path]) }
	config := types.Config{Importer: importer.ForCompiler(s.fset, "gc", open)}
	var err error
	if s.types, err = config.Check(p.ImportPath, s.fset, syntax, &s.info); err != nil {
		return nil, err
	}
	for _, f := range s.files {
		f.imports = s.importsOf(f.syntax)
		s.find(f)
	}
	s.number()
	return s, nil
}

// number gives mutants that are alike their turns, in the order of their places.
func (s *source) number() {
	turns := make(map[string]int)
	for i := range s.mutants {
		m := &s.mutants[i]
		alike := m.file + " " + m.what()
		turns[alike]++
		m.turn = turns[alike]
	}
}

// importsOf returns by which names a file uses what it imports.
func (s *source) importsOf(f *ast.File) map[string]string {
	names := make(map[string]string)
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value) // it was parsed
		if spec.Name != nil {
			names[path] = spec.Name.Name
			continue
		}
		for _, imported := range s.types.Imports() {
			if imported.Path() == path {
				names[path] = imported.Name()
			}
		}
	}
	return names
}

// woven returns the package with all mutants in it, by path.
func (s *source) woven() map[string][]byte {
	files := make(map[string][]byte)
	for _, f := range s.files {
		var of []mutant
		for _, m := range s.mutants {
			if m.file == f.path {
				of = append(of, m)
			}
		}
		files[f.path] = weave(f.text, of)
	}
	files[filepath.Join(s.Dir, "mutants_helper.go")] = helperFile(s.Name, len(s.mutants))
	return files
}

// selection says which mutants of a package are drawn.
type selection struct {
	places *regexp.Regexp // matched against "file.go:line"; nil: all
	kinds  *regexp.Regexp // nil: all
	seed   uint64
}

// draw returns the chosen mutants of a package in random order.
func (s selection) draw(all []mutant) []mutant {
	all = slices.Clone(all)
	// All are shuffled before some are left out, so that a mutant keeps its turn.
	rand.New(rand.NewPCG(s.seed, 0)).Shuffle(len(all), func(i, j int) {
		all[i], all[j] = all[j], all[i]
	})
	return slices.DeleteFunc(all, func(m mutant) bool {
		place := fmt.Sprintf("%s:%d", filepath.Base(m.file), m.line)
		return s.places != nil && !s.places.MatchString(place) ||
			s.kinds != nil && !s.kinds.MatchString(m.kind)
	})
}
