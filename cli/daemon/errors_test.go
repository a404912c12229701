package daemon

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
	"directormesh/cli/sourcetest"
	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/keyring"
	"directormesh/mesh/replica"
)

// exportedErrors are the names of the errors that a package declares.
func exportedErrors(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, d := range sourcetest.Declarations(t, filepath.Join("..", "..", dir)) {
		vars, ok := d.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		for _, spec := range vars.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, filepath.Base(dir)+"."+name.Name)
				}
			}
		}
	}
	return names
}

// TestMeshErrors checks that each error of the mesh has a code of the API: one without would reach
// an operator as a bug of ours.
func TestMeshErrors(t *testing.T) {
	want := map[string]struct {
		err  error
		code api.Code
	}{
		"directory.ErrUnknownBackend": {directory.ErrUnknownBackend, api.CodeNotFound},
		"directory.ErrTagDiffers":     {directory.ErrTagDiffers, api.CodeTagDiffers},
		"directory.ErrVHosts":         {directory.ErrVHosts, api.CodeVHosts},
		"directory.ErrFull":           {directory.ErrFull, api.CodeBadRequest},
		"directory.ErrTooLittleLeft":  {directory.ErrTooLittleLeft, api.CodeTooLittleLeft},
		"directory.ErrNotDrained":     {directory.ErrNotDrained, api.CodeBadRequest},
		"directory.ErrNotPinned":      {directory.ErrNotPinned, api.CodeNotFound},
		"directory.ErrParallel":       {directory.ErrParallel, api.CodeBadRequest},
		"directory.ErrSlowStart":      {directory.ErrSlowStart, api.CodeBadRequest},
		"mesh.ErrInvalid":             {mesh.ErrInvalid, api.CodeBadRequest},
		"mesh.ErrClosed":              {mesh.ErrClosed, api.CodeTemporary},
		"replica.ErrTryAgain":         {replica.ErrTryAgain, api.CodeTryAgain},
		"replica.ErrNotSynced":        {replica.ErrNotSynced, api.CodeNotSynced},
		"replica.ErrRemoved":          {replica.ErrRemoved, api.CodeNotSynced},
		"replica.ErrOnlyDirector":     {replica.ErrOnlyDirector, api.CodeBadRequest},
		"replica.ErrUnknownDirector":  {replica.ErrUnknownDirector, api.CodeNotFound},
		"replica.ErrNothingToCancel":  {replica.ErrNothingToCancel, api.CodeNotFound},
		"replica.ErrSharedAddress":    {replica.ErrSharedAddress, api.CodeBadRequest},
		"replica.ErrStampAhead":       {replica.ErrStampAhead, api.CodeNotSynced},
		"replica.ErrClockStepped":     {replica.ErrClockStepped, api.CodeTimeout},
		"replica.ErrOvertaken":        {replica.ErrOvertaken, api.CodeOvertaken},
		"replica.ErrPinned":           {replica.ErrPinned, api.CodePinned},
		"replica.ErrOtherTable":       {replica.ErrOtherTable, api.CodeOtherTable},
		"replica.ErrNoPlan":           {replica.ErrNoPlan, api.CodeBadRequest},
		"replica.ErrOlderRelease":     {replica.ErrOlderRelease, api.CodeBadRequest},
		"replica.ErrLeftCluster":      {replica.ErrLeftCluster, api.CodeTimeout},
		"mesh.ErrNoKeys":              {mesh.ErrNoKeys, api.CodeBadRequest},
		"mesh.ErrNoSuchKey":           {mesh.ErrNoSuchKey, api.CodeNotFound},
		"mesh.ErrRotating":            {mesh.ErrRotating, api.CodeTryAgain},
		"mesh.ErrPrimary":             {mesh.ErrPrimary, api.CodeBadRequest},
		"mesh.ErrNoNewKey":            {mesh.ErrNoNewKey, api.CodeBadRequest},
		"mesh.ErrWithoutSelf":         {mesh.ErrWithoutSelf, api.CodeBadRequest},
		"keyring.ErrTooManyKeys":      {keyring.ErrTooManyKeys, api.CodeBadRequest},
		"keyring.ErrFull":             {keyring.ErrFull, api.CodeBadRequest},
		"keyring.ErrRemoved":          {keyring.ErrRemoved, api.CodeBadRequest},
	}
	var declared []string
	for _, dir := range []string{"directory", "mesh", "mesh/keyring", "mesh/replica"} {
		declared = append(declared, exportedErrors(t, dir)...)
	}
	// What a start or a reload ends with is no error of an operation.
	declared = slices.DeleteFunc(declared, func(name string) bool {
		return slices.Contains([]string{
			"mesh.ErrDataDamaged", "mesh.ErrKeysNeedRestart", "mesh.ErrKeysRemoved",
			"keyring.ErrDamaged",
		}, name)
	})
	slices.Sort(declared)
	if diff := cmp.Diff(declared, slices.Sorted(maps.Keys(want))); diff != "" {
		t.Errorf("errors (-declared +known to this test):\n%s", diff)
	}
	for name, w := range want {
		var got *api.Error
		if !errors.As(apiError(fmt.Errorf("context: %w", w.err)), &got) || got.Code != w.code {
			t.Errorf("%s becomes %v, want the code %s", name, got, w.code)
		}
	}
	var got *api.Error
	if !errors.As(apiError(fs.ErrClosed), &got) || got.Code != api.CodeInternal {
		t.Errorf("an error that nobody knows becomes %v", got)
	}
}

// TestOperationsOfTheMeshAreAll compares the list of operations with the types that are one.
func TestOperationsOfTheMeshAreAll(t *testing.T) {
	var declared, listed []string
	for _, d := range sourcetest.Declarations(t, filepath.Join("..", "..", "mesh", "replica")) {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Recv != nil && f.Name.Name == "operation" && f.Type.Params.NumFields() == 0 {
			declared = append(declared, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	for _, op := range replica.Operations() {
		listed = append(listed, reflect.TypeOf(op).Name())
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("operations (-declared +in the list):\n%s", diff)
	}
}

// TestEveryOperationIsTranslated checks that the mesh has words for each operation of the API.
func TestEveryOperationIsTranslated(t *testing.T) {
	d := testDirector(t, &fakeNode{})
	for _, op := range api.Operations() {
		change, _, err := keyOperation(op)
		if _, ok := op.(api.Reload); ok || change != nil || err != nil {
			continue
		}
		_, err = d.operation(op)
		if err != nil && strings.Contains(err.Error(), "no change that is known") {
			t.Errorf("%T: %v", op, err)
		}
	}
}
