package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// repository is what the documents of this repository may speak of.
type repository struct {
	documents []string        // paths from the top
	files     map[string]bool // paths from the top, folders too
	tests     map[string]bool // names of tests, benchmarks and fuzz targets
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)

func readRepository(t *testing.T) repository {
	t.Helper()
	r := repository{files: make(map[string]bool), tests: make(map[string]bool)}
	top := os.DirFS("..")
	err := fs.WalkDir(top, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || path == "bin" || path == "bench"):
			return fs.SkipDir
		}
		r.files[path] = true
		if strings.HasSuffix(path, ".md") {
			r.documents = append(r.documents, path)
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(top, path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			r.tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hasFile reports whether a path ends with this name, in which * stands for any part of a name.
func (r repository) hasFile(name string) bool {
	depth := strings.Count(name, "/") + 1
	for path := range r.files {
		parts := strings.Split(path, "/")
		end := strings.Join(parts[max(0, len(parts)-depth):], "/")
		if ok, err := filepath.Match(name, end); err == nil && ok {
			return true
		}
	}
	return false
}

// anchors are the places in a document to which links may point, as GitHub names them.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return all
}

var (
	docLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	testName = regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w*)`")
	goFile   = regexp.MustCompile("`([\\w*/]+\\.go)`")
)

// TestDocuments checks that what the documents name is there: files and headings to which they
// link, Go files and tests.
func TestDocuments(t *testing.T) {
	r := readRepository(t)
	for _, document := range r.documents {
		raw, err := os.ReadFile(filepath.Join("..", document))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			target := document
			if path != "" {
				target = filepath.Join(filepath.Dir(document), path)
			}
			if !r.files[target] {
				t.Errorf("%s links to %s, which is not there", document, m[1])
				continue
			}
			if anchor == "" {
				continue
			}
			there, err := os.ReadFile(filepath.Join("..", target))
			if err != nil || !slices.Contains(anchors(string(there)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", document, m[1])
			}
		}
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !r.tests[m[1]] {
				t.Errorf("%s names %s, which is no test", document, m[1])
			}
		}
		for _, m := range goFile.FindAllStringSubmatch(text, -1) {
			if !r.hasFile(m[1]) {
				t.Errorf("%s names %s, which is not there", document, m[1])
			}
		}
	}
	if len(r.documents) < 3 || len(r.tests) < 100 {
		t.Errorf("%d documents and %d tests found", len(r.documents), len(r.tests))
	}
}

var testVariable = regexp.MustCompile(`\bDIRECTORMESH_[A-Z]+\b`)

// TestVariablesOfTests checks that mesh/meshtest/README.md has the environment variables that tests
// and scripts read, and no others.
func TestVariablesOfTests(t *testing.T) {
	const page = "mesh/meshtest/README.md"
	listed, read := make(map[string]bool), make(map[string]bool)
	for path := range readRepository(t).files {
		raw, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			continue // a folder
		}
		for _, name := range testVariable.FindAllString(string(raw), -1) {
			if path == page {
				listed[name] = true
			} else if !strings.HasSuffix(path, ".md") {
				read[name] = true
			}
		}
	}
	if diff := cmp.Diff(read, listed); diff != "" {
		t.Errorf("variables (-read +listed in %s):\n%s", page, diff)
	}
}

// TestGuidesNameSteps holds the numbers of steps of the guide to installing to those that it has,
// in the guide itself and in that to replacing a ring.
func TestGuidesNameSteps(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("doc", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	install := read("install.md")
	step := func(command string) (number int) {
		before, _, found := strings.Cut(install, command)
		numbers := regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(before, -1)
		if !found || len(numbers) == 0 {
			t.Fatalf("no step has %q", command)
		}
		return len(numbers)
	}
	starts, switches := step("systemctl restart director.service"), step("doveadm reload")
	for name, want := range map[string]string{
		"install.md": fmt.Sprintf("step %d starts it", starts),
		"migrate.md": fmt.Sprintf("Do steps 1 to %d of [install](install.md) on the ring's hosts, "+
			"not step %d:", switches-1, switches),
	} {
		if !strings.Contains(strings.Join(strings.Fields(read(name)), " "), want) {
			t.Errorf("%s does not say %q", name, want)
		}
	}
}
