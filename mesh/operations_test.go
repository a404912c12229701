package mesh

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Operations whose names can be told to others pass, those at the limit among them.
func TestValidOperations(t *testing.T) {
	tag := ring.Tag("imap")
	addr := netip.MustParseAddr("192.0.2.1")
	for _, op := range []replica.Operation{
		replica.AddBackend{Addr: addr},
		replica.AddBackend{Addr: addr, Name: "mail1.example.org", Tag: tag},
		replica.UpdateBackend{Addr: addr},
		replica.UpdateBackend{Addr: addr, Tag: &tag},
		replica.UpdateBackend{Addr: addr, Tag: new(ring.Tag)},
		replica.KickUser{Value: strings.Repeat("x", wire.MaxText)},
		replica.KickUser{Value: "bob smith", Field: "user"},
		replica.Import{Mappings: []replica.ImportedMapping{{Tag: tag}, {}}},
		replica.Forget{},
	} {
		if err := checkOperation(op); err != nil {
			t.Errorf("%+v: %v", op, err)
		}
	}
}

// Of an import every mapping is looked at, and each error says what is wrong.
func TestWordsOfInvalidOperations(t *testing.T) {
	bad := ring.Tag("two words")
	addr := netip.MustParseAddr("192.0.2.1")
	for _, test := range []struct {
		op   replica.Operation
		want string
	}{
		{replica.AddBackend{Addr: addr, Tag: bad}, `tag "two words"`},
		{replica.AddBackend{Addr: addr, Name: "a b"}, `host "a b"`},
		{replica.UpdateBackend{Addr: addr, Tag: &bad}, `tag "two words"`},
		{replica.KickUser{Field: "a b", Value: "bob"}, `field "a b"`},
		{replica.KickUser{Value: strings.Repeat("x", wire.MaxText+1)},
			"user of 4097 bytes; the most is 4096"},
		{replica.Import{Mappings: []replica.ImportedMapping{{}, {Tag: bad}}}, `tag "two words"`},
	} {
		err := checkOperation(test.op)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: %v, want %s", test.op, err, test.want)
		}
	}
}

// The least that each setting may be is enough.
func TestLeastSettings(t *testing.T) {
	for name, test := range map[string]struct {
		change func(cfg *Config)
		want   string // of the error; "": none
	}{
		"as they are": {func(*Config) {}, ""},
		"expire":      {func(cfg *Config) { cfg.Expire = minExpire }, ""},
		"expire below": {func(cfg *Config) { cfg.Expire = minExpire - 1 },
			"user-expire: 9.999999999s is too short; the least is 10s"},
		"kick delay": {func(cfg *Config) { cfg.KickDelay = 0 }, ""},
		"kick delay below": {func(cfg *Config) { cfg.KickDelay = -1 },
			"user-kick-delay: -1ns is negative"},
		"moves": {func(cfg *Config) { cfg.MaxParallelMoves = 0 }, ""},
		"moves below": {func(cfg *Config) { cfg.MaxParallelMoves = -1 },
			"max-parallel-moves: -1 is negative"},
		"second key": {func(cfg *Config) {
			cfg.Keys = [][]byte{testKey(1), make([]byte,
				KeySize-1)}
		},
			"encrypt-key-file: key 2 has 31 bytes, want 32"},
		"longer key": {func(cfg *Config) { cfg.Keys = [][]byte{make([]byte, KeySize+1)} },
			"encrypt-key-file: key 1 has 33 bytes, want 32"},
		"seed": {func(cfg *Config) { cfg.Join = []string{"d1:1", "d2:0"} },
			`join: "d2:0": port must be 1 to 65535`},
	} {
		cfg, _ := socketConfig("d1")
		test.change(&cfg)
		got := ""
		if err := cfg.check(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// What is no host says why.
func TestSeedsThatAreNone(t *testing.T) {
	for in, want := range map[string]string{
		"fe80::1%eth0":       "has a zone",
		"[fe80::1%eth0]":     "has a zone",
		"[fe80::1%eth0]:7":   "is not host[:port]",
		"[d1]":               "is not host[:port]",
		"d1]":                "is not host[:port]",
		"d%1":                "is not host[:port]",
		"d\u00a01":           "is not host[:port]",
		"::1:7:x":            "is not host[:port]",
		"a:b:c":              "is not host[:port]",
		"::1]":               "is not host[:port]",
		"":                   "is a number",
		"[::1":               "is not host[:port]",
		"9090":               "is a number",
		"90:90":              "is a number",
		":90":                "is a number",
		"d1:65536":           "port must be 1 to 65535",
		"d1:-1":              "port must be 1 to 65535",
		"[2001:db8::1]:0":    "port must be 1 to 65535",
		"[2001:db8::1]:7 ":   "port must be 1 to 65535",
		"[2001:db8::1]:abcd": "port must be 1 to 65535",
	} {
		if got, err := parseSeed(in, 9191); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", in, got, err, want)
		}
	}
	if got, err := parseSeed("d1:65535", 9191); err != nil || got.String() != "d1:65535" {
		t.Errorf("the highest port: %v, %v", got, err)
	}
}

// The kernel is asked for the time only when the wall clock has run further away than it may.
func TestSuspiciousClocks(t *testing.T) {
	for _, test := range []struct {
		by    time.Duration
		asked int
	}{{suspicious, 0}, {suspicious + 1, 1}, {-suspicious, 0}, {-suspicious - 1, 1}} {
		h := &hostClocks{wall: 1000 * time.Hour, awake: time.Hour, boot: 2 * time.Hour}
		c := h.clock()
		h.asked = 0
		h.wall += test.by
		if c.Now(); h.asked != test.asked {
			t.Errorf("%v: asked %d times, want %d", test.by, h.asked, test.asked)
		}
	}
}
