package wire_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// fill gives every field of a message some value that it may have.
func fill(t *rapid.T, m wire.Message) {
	fillValue(t, reflect.ValueOf(m).Elem())
	if reply, ok := m.(*wire.LookupReply); ok {
		var rows []directory.Mapping
		if !reply.Failed {
			rows = append(rows, mappings.Draw(t, "row"))
		}
		reply.Block = wire.Pack(tags.Draw(t, "tag"), rows)
	}
}

var (
	runes = rapid.RuneFrom([]rune("aZ9-@._%"), unicode.L, unicode.Nd, unicode.P, unicode.S)
	// The replacement character stands for what cannot be printed: a remark has another in its
	// place.
	printable = runes.Filter(func(r rune) bool { return r != unicode.ReplacementChar })

	words = rapid.StringOfN(printable, 0, -1, ring.MaxName)
	names = rapid.OneOf(rapid.SampledFrom([]string{"", "d1", "d2"}), words)
	hosts = rapid.SampledFrom([]string{"", "mail.example.org", "m_1-x"})
	tags  = rapid.Map(names, func(s string) ring.Tag { return ring.Tag(s) })
	addrs = rapid.OneOf(
		rapid.Map(rapid.Byte(), func(b byte) netip.Addr {
			return netip.AddrFrom4([4]byte{192, 0, 2, b})
		}),
		rapid.Map(rapid.Byte(), func(b byte) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: b})
		}),
		rapid.Map(rapid.Byte(), func(b byte) netip.Addr { // another address than its IPv4 form
			return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 192, 13: 0, 14: 2, 15: b})
		}),
	)
	backends = rapid.OneOf(addrs, rapid.Just(netip.Addr{}))
	mappings = rapid.Custom(func(t *rapid.T) directory.Mapping {
		return directory.Mapping{
			Hash:       ring.UserHash(rapid.Uint32().Draw(t, "hash")),
			Backend:    backends.Draw(t, "backend"),
			Activity:   directory.Tick(rapid.Uint32().Draw(t, "activity")),
			Stamp:      directory.Tick(rapid.Uint32().Draw(t, "stamp")),
			Generation: rapid.Uint16Range(1, directory.MaxGeneration).Draw(t, "generation"),
			Moving:     rapid.Bool().Draw(t, "moving"),
		}
	})
	blocks = rapid.Custom(func(t *rapid.T) wire.Block {
		return wire.Pack(tags.Draw(t, "tag"), rapid.SliceOfN(mappings, 0, 5).Draw(t, "rows"))
	})
	vhosts = rapid.IntRange(0, ring.MaxVHosts)
)

// fillValue fills a value by its type. Types that may not have every value
// stand first.
func fillValue(t *rapid.T, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *wire.Block:
		*p = blocks.Draw(t, "block")
		return
	case *netip.AddrPort: // of a director, whose address may be missing in one place only
		*p = netip.AddrPortFrom(addrs.Draw(t, "address"), rapid.Uint16().Draw(t, "port"))
		return
	case *netip.Addr:
		*p = addrs.Draw(t, "address")
		return
	case *wire.Settings:
		*p = wire.Settings{
			Protocol: int(rapid.Int32Min(0).Draw(t, "protocol")), Mesh: names.Draw(t, "mesh"),
			HashFormat: names.Draw(t, "format"), Expire: rapid.Int64().Draw(t, "expire"),
		}
		return
	case *wire.Secret: // there is one or none
		if rapid.Bool().Draw(t, "secret") {
			*p = rapid.SliceOfN(rapid.Byte(), wire.KeySize, wire.KeySize).Draw(t, "secret")
		}
		return
	case *wire.Message: // of a log
		entries := []wire.Message{&wire.Table{}, &wire.Rows{}, &wire.Hold{}}
		*p = empty(rapid.SampledFrom(entries).Draw(t, "entry"))
		fillValue(t, reflect.ValueOf(*p).Elem())
		return
	case *wire.NameSight:
		*p = wire.NameSight{
			Name: hosts.Filter(func(s string) bool { return s != "" }).Draw(t, "name"),
			Tag:  tags.Draw(t, "tag"), Resolves: rapid.Bool().Draw(t, "resolves"),
			Settled: rapid.Bool().Draw(t, "settled"),
			Since:   directory.Time(rapid.Int64().Draw(t, "since")),
			Reason:  names.Draw(t, "reason"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "addresses") {
			p.Targets = append(p.Targets, ring.Target{
				Addr: addrs.Draw(t, "address"), VHosts: vhosts.Draw(t, "vhosts"),
				Standby: rapid.Bool().Draw(t, "standby"),
			})
		}
		return
	case *directory.Register[directory.Presence]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Presence {
			return directory.Presence{
				Present: rapid.Bool().Draw(t, "present"), Tag: tags.Draw(t, "tag"),
				Name: hosts.Draw(t, "name"),
			}
		}))
		return
	case *directory.Register[int]:
		fillRegister(t, p, vhosts)
		return
	case *directory.Register[directory.State]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.State {
			return directory.State{
				Down:  rapid.Bool().Draw(t, "down"),
				Since: directory.Stamp(rapid.Uint64().Draw(t, "since")),
			}
		}))
		return
	case *directory.Register[directory.Task]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Task {
			return directory.Task{
				On:       rapid.Bool().Draw(t, "on"),
				Since:    directory.Stamp(rapid.Uint64().Draw(t, "since")),
				By:       directory.Time(rapid.Int64().Draw(t, "by")),
				Parallel: rapid.IntRange(0, directory.MaxParallel).Draw(t, "parallel"),
			}
		}))
		return
	case *directory.Register[directory.Verdict]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Verdict {
			return directory.Verdict{
				Failed:  rapid.Bool().Draw(t, "failed"),
				Since:   directory.Stamp(rapid.Uint64().Draw(t, "since")),
				Cleared: rapid.Bool().Draw(t, "cleared"),
				Flaps:   rapid.IntRange(0, directory.MaxFlaps).Draw(t, "flaps"),
			}
		}))
		return
	case *directory.Register[directory.Listing]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Listing {
			return directory.Listing{
				Gone:     rapid.Bool().Draw(t, "gone"),
				Retained: rapid.Bool().Draw(t, "retained"),
			}
		}))
		return
	case *directory.Register[directory.Factor]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Factor {
			return directory.Factor(rapid.IntRange(0, ring.MaxFactor).Draw(t, "factor"))
		}))
		return
	case *directory.Register[directory.Start]:
		fillRegister(t, p, rapid.Custom(func(t *rapid.T) directory.Start {
			over := rapid.Int64Range(0, directory.MaxSlowStart.Milliseconds()).Draw(t, "over")
			return directory.Start{
				Since:   directory.Stamp(rapid.Uint64().Draw(t, "since")),
				Over:    time.Duration(over) * time.Millisecond,
				Percent: rapid.IntRange(0, ring.WholeStart-1).Draw(t, "percent"),
			}
		}))
		return
	case *directory.Register[netip.Addr]: // none: not pinned
		fillRegister(t, p, rapid.OneOf(addrs, rapid.Just(netip.Addr{})))
		return
	case *directory.Register[bool]:
		fillRegister(t, p, rapid.Bool())
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.String:
		v.SetString(names.Draw(t, "string"))
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(t, v.Field(i))
		}
	case reflect.Array: // of 256 digests a few that differ will do
		for i := 0; i < v.Len(); i += 1 + v.Len()/6 {
			fillValue(t, v.Index(i))
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fillValue(t, v.Index(i))
		}
	default:
		panic(fmt.Sprintf("fill does not know how to fill a %v", v.Type()))
	}
}

// fillRegister sets a register in two of three cases.
func fillRegister[T comparable](t *rapid.T, g *directory.Register[T], values *rapid.Generator[T]) {
	origin := rapid.SampledFrom([]string{"", "d1", "director-2.example.org"}).Draw(t, "origin")
	if origin == "" {
		return
	}
	*g = directory.Register[T]{
		Value: values.Draw(t, "value"), Stamp: directory.Stamp(rapid.Uint64().Draw(t, "stamp")),
		Origin: origin,
	}
}
