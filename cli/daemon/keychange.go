package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"directormesh/cli/api"
	"directormesh/mesh"
	"directormesh/mesh/keyring"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Keys implements httpapi.Director.
func (d *director) Keys() api.Keys {
	s := d.node.Keys()
	keys := api.Keys{Keys: []api.Key{}, Directors: []api.KeyDirector{}}
	for _, k := range s.Keys {
		keys.Keys = append(keys.Keys, api.Key{
			ID: k.ID.String(), Primary: k.Primary, Streams: k.Streams,
			Directors: listed(k.Holders), Packets: k.Packets,
		})
	}
	for _, h := range s.Directors {
		keys.Directors = append(keys.Directors, api.KeyDirector{
			Name: h.Name, Away: h.Away, Uses: keyText(h.Uses), Problem: h.Problem,
		})
	}
	if r := s.Rotation; r != nil {
		waits := []string{}
		for _, l := range r.Waits {
			waits = append(waits, l.Director+" "+l.Why)
		}
		keys.Rotation = &api.Rotation{
			New: keyText(r.New), Old: keyText(r.Old), By: r.By, Step: r.Step,
			FromFile: r.FromFile, WaitsFor: waits,
		}
	}
	return keys
}

func keyText(id wire.KeyID) string {
	if id == (wire.KeyID{}) {
		return ""
	}
	return id.String()
}

// keyOperation translates a change of keys into the words of the mesh; nil: it is another change.
func keyOperation(op api.Operation) (change mesh.KeyOperation, without []string, err error) {
	switch op := op.(type) {
	case api.AddKey:
		if op.Key == "" {
			return mesh.AddKey{}, nil, nil
		}
		keys, err := parseKeys("the key", []byte(op.Key))
		if err == nil && len(keys) > 1 {
			err = errors.New("there are several keys; give one")
		}
		if err != nil {
			return nil, nil, api.Errorf(api.CodeBadRequest, "%v", err)
		}
		return mesh.AddKey{Secret: keys[0]}, nil, nil
	case api.UseKey:
		id, err := parseKeyID(op.ID)
		return mesh.UseKey{ID: id}, op.Without, err
	case api.RemoveKey:
		id, err := parseKeyID(op.ID)
		return mesh.RemoveKey{ID: id}, op.Without, err
	case api.RotateKeys:
		return mesh.RotateKeys{FromFile: op.FromFile}, op.Without, nil
	}
	return nil, nil, nil
}

func parseKeyID(text string) (id wire.KeyID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, api.Errorf(api.CodeBadRequest,
			"%q is not the id of a key, which has %d digits; see: director keys list",
			ring.Printable(text), hex.EncodedLen(len(id)))
	}
	copy(id[:], b)
	return id, nil
}

// changeKeys carries out a change of keys, unless there is an error already.
func (d *director) changeKeys(
	ctx context.Context, op mesh.KeyOperation, without []string, err error,
) (api.Outcome, error) {
	if err != nil {
		return api.Outcome{}, err
	}
	began := wallTime(d.node.MeshTime())
	o, err := d.node.ChangeKeys(ctx, op, without)
	if err != nil {
		return api.Outcome{}, keysError(op, o, err)
	}
	return api.Outcome{
		FailedDirectors: o.Away, Away: d.away(o.Away, began), Key: keyText(o.ID),
	}.Complete(), nil
}

// keysError says what a change of keys waits for, and what to do about it.
func keysError(op mesh.KeyOperation, o mesh.KeyOutcome, err error) error {
	waits := new(mesh.KeysWaitError)
	if !errors.As(err, &waits) {
		return apiError(err)
	}
	var directors []string
	for _, l := range waits.Lacks {
		if len(directors) == 0 || directors[len(directors)-1] != l.Director {
			directors = append(directors, l.Director)
		}
	}
	without := strings.Join(directors, " --without ")
	if _, adds := op.(mesh.AddKey); adds && waits.Begun {
		return api.Errorf(api.CodeTimeout,
			"key %s is not in place everywhere yet: %s; they get it when they are ready",
			keyText(o.ID), waits)
	}
	if waits.Begun {
		return api.Errorf(api.CodeTimeout, "key %s is not in place everywhere yet: %s; the change "+
			"goes on when they are ready, or without them: director keys rotate --without %s",
			keyText(o.ID), waits, without)
	}
	return api.Errorf(api.CodeNotReady, "nothing has changed: %s; mend that, or go on with "+
		"--without %s, which removes them from the mesh", waits, without)
}

// keyErrors are the errors of changes of keys, in the words of the API.
func keyErrors() []meshError {
	return []meshError{
		{mesh.ErrNoKeys, api.CodeBadRequest, ""},
		{mesh.ErrNoSuchKey, api.CodeNotFound, "there is no such key; see: director keys list"},
		{mesh.ErrRotating, api.CodeTryAgain,
			"a change of keys is under way, try again; see: director keys list"},
		{mesh.ErrPrimary, api.CodeBadRequest, ""},
		{mesh.ErrNoNewKey, api.CodeBadRequest, ""},
		{mesh.ErrWithoutSelf, api.CodeBadRequest, ""},
		{keyring.ErrTooManyKeys, api.CodeBadRequest, ""},
		{keyring.ErrFull, api.CodeBadRequest, ""},
		{keyring.ErrRemoved, api.CodeBadRequest, ""},
	}
}
