package handover

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/sourcetest"
)

// TestKindsAreAll compares the list of kinds with the constants: one that is not listed would be no
// door, and nothing would say so.
func TestKindsAreAll(t *testing.T) {
	var declared, listed []string
	for _, d := range sourcetest.Declarations(t, ".") {
		constants, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range constants.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Kind" {
				declared = append(declared, strings.ToLower(v.Names[0].Name))
			}
		}
	}
	for _, k := range Kinds() {
		listed = append(listed, string(k))
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("kinds (-declared +in the list):\n%s", diff)
	}
}
