package cli

import (
	"go/build/constraint"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// toolTags are the build tags in use that the go command sets by itself.
var toolTags = []string{"amd64", "arm64", "linux", "race", "unix"}

// TestTagsAreChecked keeps "make lint" looking at every file. It sets all tags of ours at once, so
// each of them must be in its list, and none may leave a file out.
func TestTagsAreChecked(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^TAGS +:?= (.*)$`).FindSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile has no list TAGS")
	}
	tags := strings.Split(string(list[1]), ",")
	unused := slices.Clone(tags)
	for file := range readRepository(t).files {
		if path.Ext(file) != ".go" {
			continue
		}
		expr := constraintOf(t, filepath.Join("..", file))
		for _, tag := range tagsIn(expr, false) {
			if !slices.Contains(tags, tag) && !slices.Contains(toolTags, tag) {
				t.Errorf("%s: tag %s is not in TAGS of the Makefile", file, tag)
			}
			unused = slices.DeleteFunc(unused, func(s string) bool { return s == tag })
		}
		for _, tag := range tagsIn(expr, true) {
			if slices.Contains(tags, tag) {
				t.Errorf("%s is left out where tag %s is set, as in make lint", file, tag)
			}
		}
	}
	if len(unused) > 0 {
		t.Errorf("no file has the tags %v", unused)
	}
}

func TestTagsIn(t *testing.T) {
	for line, want := range map[string]string{
		"//go:build a && !b || !(c && !d)": "a b c d; b c",
		"//go:build !a && !(!b)":           "a b; a",
	} {
		expr, err := constraint.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(tagsIn(expr, false), " ") + "; " +
			strings.Join(tagsIn(expr, true), " ")
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// constraintOf is when a Go file is part of a build; nil: always.
func constraintOf(t *testing.T, file string) constraint.Expr {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "package ") {
			break
		}
		if constraint.IsGoBuild(line) {
			expr, err := constraint.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			return expr
		}
	}
	return nil
}

// tagsIn returns the tags of a constraint in their order: all, or those that must be unset.
func tagsIn(expr constraint.Expr, unset bool) (tags []string) {
	var visit func(x constraint.Expr, negated bool)
	visit = func(x constraint.Expr, negated bool) {
		switch x := x.(type) {
		case *constraint.TagExpr:
			if negated || !unset {
				tags = append(tags, x.Tag)
			}
		case *constraint.NotExpr:
			visit(x.X, !negated)
		case *constraint.AndExpr:
			visit(x.X, negated)
			visit(x.Y, negated)
		case *constraint.OrExpr:
			visit(x.X, negated)
			visit(x.Y, negated)
		}
	}
	visit(expr, false)
	return tags
}
