package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// oneMeaning has the words of mesh/doc/glossary.md that types, functions and fields may have as
// their name only in these packages, where they mean what the glossary says.
var oneMeaning = map[string][]string{
	"session": { // a mail session
		"mesh/replica", "mesh/meshtest/check", "mesh/meshtest/sim", "cli/session",
		"cli/kick/kicktest", "scripts/e2e/dovecot",
	},
	"held": { // a user whose lookups wait, and that user's replies
		"mesh/replica/...", "mesh/wire", "cli/door/authrelay",
	},
	"view":  {"directory", "mesh/replica/..."},
	"place": {"mesh/replica/..."}, // the backend that the ring gives
	"link":  {"mesh", "mesh/meshtest/check", "mesh/meshtest/sim", "cli/door/authrelay"},
	"batch": {"mesh", "mesh/replica/...", "cli/door/authrelay"},
	"change": {
		// registers of the table; in a directory, to write behind a version
		"directory", "mesh/replica/...", "mesh/wire/...", "mesh/meshtest/check",
		"cli/door/httpapi", "cli/load",
	},
}

// TestOneWordOneMeaning keeps the words of the glossary from second meanings.
func TestOneWordOneMeaning(t *testing.T) {
	seen := make(map[string]bool)
	for file := range readRepository(t).files {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		for _, name := range declaredNames(t, path.Join("..", file)) {
			word := strings.ToLower(name.Name)
			packages, ok := oneMeaning[word]
			if !ok {
				continue
			}
			i := slices.IndexFunc(packages, func(p string) bool {
				return matches(p, path.Dir(file))
			})
			if i < 0 {
				t.Errorf("%s declares %s: mesh/doc/glossary.md has another meaning of the word",
					file, name.Name)
				continue
			}
			seen[word+" "+packages[i]] = true
		}
	}
	for word, packages := range oneMeaning {
		for _, p := range packages {
			if !seen[word+" "+p] {
				t.Errorf("nothing in %s has the name %s; take it out of the list", p, word)
			}
		}
	}
}

// declaredNames returns the names of a file's types, functions, methods and fields of structs.
func declaredNames(t *testing.T, file string) (names []*ast.Ident) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range f.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				s, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				names = append(names, s.Name)
				if fields, ok := s.Type.(*ast.StructType); ok {
					for _, field := range fields.Fields.List {
						names = append(names, field.Names...)
					}
				}
			}
		}
	}
	return names
}
