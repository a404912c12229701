package api

import (
	"fmt"
	"go/ast"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/sourcetest"
	"directormesh/ring"
)

// TestOperationsAreAll compares the list of operations with the types that have a path.
func TestOperationsAreAll(t *testing.T) {
	var declared []string
	for _, d := range sourcetest.Declarations(t, ".") {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "Describe" {
			declared = append(declared, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	var listed, posted []string
	for _, op := range Operations() {
		listed = append(listed, reflect.TypeOf(op).Name())
		posted = append(posted, op.Path())
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("operations (-declared +in the list):\n%s", diff)
	}
	slices.Sort(posted)
	if once := slices.Compact(slices.Clone(posted)); len(once) != len(posted) {
		t.Errorf("two operations are posted to one path: %q", posted)
	}
}

// TestDescriptionsNameNobody fills each operation with a name and looks for it in the description.
func TestDescriptionsNameNobody(t *testing.T) {
	for _, none := range Operations() {
		op := reflect.New(reflect.TypeOf(none)).Elem()
		if user := op.FieldByName("User"); user.IsValid() {
			user.SetString("alice")
		}
		for _, field := range []string{"", "user_mail"} {
			if f := op.FieldByName("Field"); f.IsValid() {
				f.SetString(field)
			}
			hash := func(string) ring.UserHash { return 7 }
			d := op.Interface().(Operation).Describe(hash)
			if d.Action == "" || strings.Contains(fmt.Sprint(d), "alice") {
				t.Errorf("%T is described as %+v", none, d)
			}
			for _, f := range d.Fields {
				switch f.Value.(type) {
				case string, int, uint32:
				default:
					t.Errorf("%T: field %s is a %T, which records do not take",
						none, f.Name, f.Value)
				}
			}
		}
	}
}

// TestOperationsAreDocumented wants each operation with its path in the package comment.
func TestOperationsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range Operations() {
		name := reflect.TypeOf(op).Name()
		row := regexp.MustCompile(regexp.QuoteMeta(op.Path()) + ` +` + name + `\b`)
		if !row.Match(doc) {
			t.Errorf("the package comment does not say that %s takes %s", op.Path(), name)
		}
	}
}

// TestEachFieldIsDescribed changes one field of an operation at a time: who reads the records of
// admin changes must see each, except those that change nothing of what is done to whom.
func TestEachFieldIsDescribed(t *testing.T) {
	ip := IP{netip.MustParseAddr("192.0.2.1")}
	leave := []string{
		"Move.Wait", "PinUser.Wait", "ImportMappings.Keep", // when the answer comes
		"AddKey.Key", // a secret; the outcome has its id
	}
	values := map[reflect.Type]any{
		reflect.TypeFor[string](): "x", reflect.TypeFor[*string](): new(string),
		reflect.TypeFor[int](): 7, reflect.TypeFor[*int](): new(int),
		reflect.TypeFor[*uint32](): new(uint32), reflect.TypeFor[bool](): true,
		reflect.TypeFor[*bool]():      new(bool),
		reflect.TypeFor[*time.Time](): new(time.Time), reflect.TypeFor[int64](): int64(7),
		reflect.TypeFor[*int64](): new(int64),
		reflect.TypeFor[IP]():     ip, reflect.TypeFor[[]string](): []string{"d3"},
		reflect.TypeFor[[]ImportedMapping](): []ImportedMapping{{}},
	}
	hash := func(user string) ring.UserHash { return ring.UserHash(len(user)) + 7 }
	for _, none := range Operations() {
		before := fmt.Sprint(none.Describe(hash))
		for _, field := range reflect.VisibleFields(reflect.TypeOf(none)) {
			value, ok := values[field.Type]
			if !ok {
				t.Fatalf("give a value for fields of type %v here", field.Type)
			}
			op := reflect.New(reflect.TypeOf(none)).Elem()
			op.FieldByIndex(field.Index).Set(reflect.ValueOf(value))
			name := reflect.TypeOf(none).Name() + "." + field.Name
			told := fmt.Sprint(op.Interface().(Operation).Describe(hash)) != before
			if told == slices.Contains(leave, name) {
				t.Errorf("%s is described: %v", name, told)
			}
		}
	}
}

// TestEmptyOperations checks which operations may be empty: all others lack something.
func TestEmptyOperations(t *testing.T) {
	var complete []string
	for _, op := range Operations() {
		if op.Check() == nil {
			complete = append(complete, reflect.TypeOf(op).Name())
		}
	}
	want := []string{
		"FlushUsers", "CancelFlush", "Forget", "ImportMappings", "AddKey", "RotateKeys", "Reload",
		"Rebalance", "ResetBalance",
	}
	if diff := cmp.Diff(want, complete); diff != "" {
		t.Errorf("operations that may be empty (-want +got):\n%s", diff)
	}
}
