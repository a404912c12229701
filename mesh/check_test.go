package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// TestInvalidNames checks that what comes through the doors has names that can be told to others.
func TestInvalidNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		const bad = "x\x1b[2J"
		tag := ring.Tag(bad)
		addr := netip.MustParseAddr("192.0.2.1")
		for _, op := range []replica.Operation{
			replica.AddBackend{Addr: addr, Tag: tag},
			replica.AddBackend{Addr: addr, Name: "evil\tnologin"},
			replica.UpdateBackend{Addr: addr, Tag: &tag},
			replica.KickUser{Field: bad, Value: "bob"},
			replica.KickUser{Value: strings.Repeat("x", wire.MaxText+1)},
			replica.Import{Mappings: []replica.ImportedMapping{{Tag: tag}}},
		} {
			_, err := n.Do(t.Context(), op)
			if !errors.Is(err, ErrInvalid) || strings.ContainsAny(err.Error(), "\x1b\t") {
				t.Errorf("%T: %v", op, err)
			}
		}
		began := time.Now()
		if _, err := n.Lookup(t.Context(), tag, 1); !errors.Is(err, ErrInvalid) ||
			time.Since(began) > 0 {
			t.Errorf("lookup: %v after %s", err, time.Since(began))
		}
	})
}

// namesUnchecked are the fields of operations that hold names and are not told to others.
var namesUnchecked = map[string]bool{
	"KickUser.Value":          true, // any text that is not too long
	"SetDirectorRemoved.Name": true, // looked up here, its address is told
}

// setNames calls f once for each name in a value, with that name set to a bad one.
func setNames(v reflect.Value, path, bad string, f func(path string)) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(bad)
		f(path)
		v.SetString("")
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.New(v.Type().Elem()))
			setNames(v.Elem(), path, bad, f)
			v.SetZero()
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setNames(v.Index(0), path, bad, f)
		v.SetZero()
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				setNames(v.Field(i), path+"."+field.Name, bad, f)
			}
		}
	}
}

// TestEveryNameIsChecked puts a bad name into each field of each operation that may hold one.
func TestEveryNameIsChecked(t *testing.T) {
	checked := 0
	for _, op := range replica.Operations() {
		v := reflect.New(reflect.TypeOf(op)).Elem()
		setNames(v, v.Type().Name(), "x\x1b[2J", func(path string) {
			checked++
			err := checkOperation(v.Interface().(replica.Operation))
			if errors.Is(err, ErrInvalid) == namesUnchecked[path] {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	if checked <= len(namesUnchecked) {
		t.Errorf("operations have %d names", checked)
	}
}

func TestMembersAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		good := memberlist.Node{
			Name: "d2", Addr: net.IPv4(10, 0, 0, 2).To4(), Port: 9090, Meta: n.meta().encode(),
			DMin: replica.ProtocolVersion, DMax: replica.ProtocolVersion,
			DCur: replica.ProtocolVersion,
		}
		for name, test := range map[string]struct {
			change func(m *memberlist.Node)
			err    string
		}{
			"good":    {func(*memberlist.Node) {}, ""},
			"no name": {func(m *memberlist.Node) { m.Name = "" }, "its name is empty"},
			"odd name": {
				func(m *memberlist.Node) { m.Name = "d\x1b[2J" }, "its name has a space",
			},
			"no address": {func(m *memberlist.Node) { m.Addr = nil }, "cannot be reached"},
			"all of them": {
				func(m *memberlist.Node) { m.Addr = net.IPv4zero.To4() }, "cannot be reached",
			},
			"group": {func(m *memberlist.Node) {
				m.Addr = net.IPv4(224, 0, 0, 1).To4()
			}, "cannot be reached"},
			"no port": {func(m *memberlist.Node) { m.Port = 0 }, "cannot be reached"},
			"no meta": {func(m *memberlist.Node) { m.Meta = nil }, "too short"},
		} {
			m := good
			test.change(&m)
			before := counted(t, n.metrics.drops[dropMember])
			err := delegate{n}.NotifyAlive(&m)
			if (err == nil) != (test.err == "") ||
				err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", name, err, test.err)
			}
			got := counted(t, n.metrics.drops[dropMember]) - before
			if (got == 1) != (test.err != "") {
				t.Errorf("%s: %g refusals counted", name, got)
			}
		}
		for i := range 2 * wire.MaxDirectors {
			m := good
			m.Name = fmt.Sprint("x", i)
			if (delegate{n}).NotifyAlive(&m) == nil {
				delegate{n}.NotifyJoin(&m)
			}
		}
		if got := n.members.count(); got != wire.MaxDirectors {
			t.Errorf("%d members, want %d", got, wire.MaxDirectors)
		}
		bad := good
		bad.Name = ""
		if err := (delegate{n}).NotifyAlive(&bad); err == nil ||
			!strings.Contains(err.Error(), "its name is empty") {
			t.Errorf("one without a name, where there is no room: %v", err)
		}
		known := good
		known.Name = "x7"
		if err := (delegate{n}).NotifyAlive(&known); err != nil {
			t.Errorf("one of a thousand is refused: %v", err)
		}
	})
}
