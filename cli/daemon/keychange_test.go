package daemon

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/cli/api"
	"directormesh/mesh"
	"directormesh/mesh/keyring"
	"directormesh/mesh/wire"
)

// keyChange is what a node was asked to do.
type keyChange struct {
	op      mesh.KeyOperation
	without []string
}

// keyChanges are the changes of keys in the words of the API, and what the mesh is asked for.
func keyChanges() []struct {
	op   api.Operation
	want keyChange
} {
	secret := bytes.Repeat([]byte{7}, mesh.KeySize)
	line := base64.StdEncoding.EncodeToString(secret)
	id := wire.KeyID{0x5e, 0x0d, 0x1c, 0x3a}
	without := []string{"d3", "d4"}
	return []struct {
		op   api.Operation
		want keyChange
	}{
		{api.AddKey{}, keyChange{op: mesh.AddKey{}}},
		{api.AddKey{Key: "# new\n" + line + "\n"}, keyChange{op: mesh.AddKey{Secret: secret}}},
		{api.UseKey{ID: "5e0d1c3a", Without: without}, keyChange{mesh.UseKey{ID: id}, without}},
		{api.RemoveKey{ID: "5E0D1C3A"}, keyChange{op: mesh.RemoveKey{ID: id}}},
		{api.RotateKeys{FromFile: true, Without: without},
			keyChange{mesh.RotateKeys{FromFile: true}, without}},
	}
}

func TestKeyChangesReachTheMesh(t *testing.T) {
	for _, test := range keyChanges() {
		n := &fakeNode{keyOutcome: mesh.KeyOutcome{
			ID: wire.KeyID{1, 2, 3, 4}, Away: []string{"d9"},
		}}
		outcome, err := testDirector(t, n).Do(t.Context(), test.op)
		if err != nil || outcome.Key != "01020304" || len(outcome.FailedDirectors) != 1 {
			t.Errorf("%+v: %+v, %v", test.op, outcome, err)
		}
		if diff := cmp.Diff([]keyChange{test.want}, n.changed, cmp.AllowUnexported(keyChange{}),
			cmpopts.IgnoreUnexported(mesh.RotateKeys{})); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.op, diff)
		}
	}
}

// A key, or an id, that is none is refused in words that have nothing of a key.
func TestBadKeys(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, mesh.KeySize))
	for _, test := range []struct {
		op   api.Operation
		want string
	}{
		{api.AddKey{Key: "nonsense!"}, "is not base64"},
		{api.AddKey{Key: secret[:20]}, "a key has 32"},
		{api.AddKey{Key: secret + "\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwg="}, "give one"},
		{api.UseKey{ID: "5e0d1c"}, "has 8 digits"},
		{api.UseKey{ID: secret}, "has 8 digits"},
		{api.RemoveKey{ID: "\x1b[31m"}, "has 8 digits"},
	} {
		n := new(fakeNode)
		_, err := testDirector(t, n).Do(t.Context(), test.op)
		var got *api.Error
		if !errors.As(err, &got) || got.Code != api.CodeBadRequest ||
			!strings.Contains(got.Message, test.want) || strings.Contains(got.Message, "\x1b") {
			t.Errorf("%+v: %v, want %q", test.op, err, test.want)
		}
		if len(n.changed) > 0 {
			t.Errorf("%+v reached the mesh", test.op)
		}
	}
}

// Whom a change waits for is named, with what can be done about it.
func TestKeyChangesThatWait(t *testing.T) {
	lacks := []keyring.Lack{
		{Director: "d3", Why: "is not in touch"}, {Director: "d4", Why: "cannot keep keys: full"},
	}
	for _, test := range []struct {
		begun bool
		code  api.Code
		want  string
	}{
		{false, api.CodeNotReady, "nothing has changed: d3 is not in touch; d4 cannot keep keys: " +
			"full; mend that, or go on with --without d3 --without d4, which removes them from " +
			"the mesh"},
		{true, api.CodeTimeout, "key 01020304 is not in place everywhere yet: d3 is not in " +
			"touch; d4 cannot keep keys: full; the change goes on when they are ready, " +
			"or without them: director keys rotate --without d3 --without d4"},
	} {
		n := &fakeNode{
			keyOutcome: mesh.KeyOutcome{ID: wire.KeyID{1, 2, 3, 4}},
			err:        &mesh.KeysWaitError{Begun: test.begun, Lacks: lacks},
		}
		_, err := testDirector(t, n).Do(t.Context(), api.RotateKeys{})
		var got *api.Error
		if !errors.As(err, &got) || got.Code != test.code || got.Message != test.want {
			t.Errorf("begun %v: %v\nwant %s", test.begun, err, test.want)
		}
	}
}

func TestKeysAreShown(t *testing.T) {
	n := &fakeNode{keys: mesh.KeyringStatus{
		Keys: []mesh.KeyStatus{
			{ID: wire.KeyID{1}, Primary: true, Here: true, Streams: 4, Holders: []string{"d1"},
				Packets: 5},
			{ID: wire.KeyID{2}},
		},
		Directors: []mesh.KeyHolderStatus{{Name: "d1", Uses: wire.KeyID{1}}, {
			Name: "d2", Away: true, Problem: "it has no data-dir",
		}},
		Rotation: &mesh.RotationStatus{
			New: wire.KeyID{2}, By: "d1", Step: keyring.StepAdding, FromFile: true,
			Waits: []keyring.Lack{{Director: "d2", Why: "is not in touch"}},
		},
	}}
	want := api.Keys{
		Keys: []api.Key{
			{ID: "01000000", Primary: true, Streams: 4, Directors: []string{"d1"}, Packets: 5},
			{ID: "02000000", Directors: []string{}},
		},
		Directors: []api.KeyDirector{
			{Name: "d1", Uses: "01000000"},
			{Name: "d2", Away: true, Problem: "it has no data-dir"},
		},
		Rotation: &api.Rotation{
			New: "02000000", By: "d1", Step: api.StepAdding, FromFile: true,
			WaitsFor: []string{"d2 is not in touch"},
		},
	}
	if diff := cmp.Diff(want, testDirector(t, n).Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if keyring.StepAdding != api.StepAdding || keyring.StepUsing != api.StepUsing {
		t.Error("the API and the mesh name the steps of a rotation differently")
	}
	empty := testDirector(t, new(fakeNode)).Keys()
	if empty.Keys == nil || empty.Directors == nil || empty.Rotation != nil {
		t.Errorf("no keys: %+v", empty)
	}
}

// A reload by a client is that of SIGHUP, and ends when nobody carries it out.
func TestReloadOfAClient(t *testing.T) {
	d := &Daemon{director: &director{reloads: make(chan reloadRequest)}}
	go func() { d.answerReload(<-d.director.reloads) }()
	_, err := d.director.Do(t.Context(), api.Reload{})
	if err == nil || !strings.Contains(err.Error(), errNoReload.Error()) {
		t.Errorf("without settings: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.director.Do(ended, api.Reload{}); err == nil {
		t.Error("an OK although nobody was there to reload")
	}
}
