package ring

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRingsLookupByTag(t *testing.T) {
	plain := netip.MustParseAddr("192.0.2.1")
	ssd := netip.MustParseAddr("192.0.2.2")
	down := netip.MustParseAddr("192.0.2.3")
	rings := Build([]Backend{
		{Addr: ssd, Tag: "ssd", VHosts: 10},
		{Addr: plain, VHosts: 10},
		{Addr: down, Tag: "hdd", VHosts: 10, Down: true},
	}, nil)
	for _, c := range []struct {
		tag  Tag
		want netip.Addr
	}{{"", plain}, {"ssd", ssd}, {"hdd", netip.Addr{}}, {"unknown", netip.Addr{}}} {
		if got, ok := rings.Lookup(c.tag, 12345); got != c.want || ok != c.want.IsValid() {
			t.Errorf("tag %q: %v (%v), want %v", c.tag, got, ok, c.want)
		}
	}
	if diff := cmp.Diff([]Tag{"", "ssd"}, rings.Tags()); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestEmptyRings(t *testing.T) {
	for name, r := range map[string]*Rings{"nil": nil, "zero": {}, "no backends": Build(nil, nil)} {
		if a, ok := r.Lookup("", 1); ok || a.IsValid() {
			t.Errorf("%s: hash 1 belongs to %v (%v), want nobody", name, a, ok)
		}
		if tags := r.Tags(); len(tags) != 0 {
			t.Errorf("%s: tags %q, want none", name, tags)
		}
	}
}

func TestBuildKeepsUnchangedRings(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	b := netip.MustParseAddr("192.0.2.2")
	c := netip.MustParseAddr("192.0.2.3")
	before := Build([]Backend{{Addr: a, VHosts: 10}, {Addr: b, VHosts: 10, Tag: "ssd"}}, nil)
	for _, change := range []struct {
		name               string
		backends           []Backend
		keepPlain, keepSSD bool
	}{
		{"nothing", []Backend{{Addr: b, VHosts: 10, Tag: "ssd"}, {Addr: a, VHosts: 10}},
			true, true},
		{"a name", []Backend{
			{Addr: a, VHosts: 10, Name: "mail"}, {Addr: b, VHosts: 10, Tag: "ssd"},
		}, true, true},
		{"an unusable backend", []Backend{
			{Addr: a, VHosts: 10}, {Addr: b, VHosts: 10, Tag: "ssd"},
			{Addr: c, VHosts: 10, Down: true},
		}, true, true},
		{"a backend", []Backend{
			{Addr: a, VHosts: 10}, {Addr: c, VHosts: 10}, {Addr: b, VHosts: 10, Tag: "ssd"},
		}, false, true},
		{"vhosts", []Backend{{Addr: a, VHosts: 10}, {Addr: b, VHosts: 9, Tag: "ssd"}}, true, false},
		{"an address", []Backend{{Addr: c, VHosts: 10}, {Addr: b, VHosts: 10, Tag: "ssd"}},
			false, true},
		{"a tag", []Backend{{Addr: a, VHosts: 10, Tag: "ssd"}, {Addr: b, VHosts: 10}},
			false, false},
	} {
		after := Build(change.backends, before)
		if kept := after.of("") == before.of(""); kept != change.keepPlain {
			t.Errorf("%s changed: ring of the default tag kept: %v, want %v",
				change.name, kept, change.keepPlain)
		}
		if kept := after.of("ssd") == before.of("ssd"); kept != change.keepSSD {
			t.Errorf("%s changed: ring of tag ssd kept: %v, want %v",
				change.name, kept, change.keepSSD)
		}
	}
}

func TestBuildDoesNotDependOnPrevious(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawBackends(t, "first"), drawBackends(t, "second")
		before := Build(first, nil)
		after := Build(second, before)
		if diff := cmp.Diff(Build(second, nil), after, ringOptions()); diff != "" {
			t.Fatalf("built with a previous snapshot, the rings differ (-without +with):\n%s", diff)
		}
		if diff := cmp.Diff(Build(first, nil), before, ringOptions()); diff != "" {
			t.Fatalf("the previous snapshot has changed (-want +got):\n%s", diff)
		}
	})
}
