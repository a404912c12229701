//go:build e2e

package e2e

import (
	"math"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
	"directormesh/ring"
)

// sampleTime is the moment of the samples of package wiretest.
const sampleTime directory.Time = 1_772_359_200_000

// liesIn returns the sample message with this number in many forms, each with one field that lies.
// The rest of it is as in a truthful hello of the liar's.
func liesIn(number int, truth *wire.Hello) []wire.Message {
	fields := 0
	eachField(reflect.ValueOf(wiretest.Samples()[number]).Elem(), func(reflect.Value) { fields++ })
	var all []wire.Message
	for chosen := range max(fields, 1) {
		for lie := 0; ; lie++ {
			message := wiretest.Samples()[number]
			switch m := message.(type) {
			case *wire.Hello:
				*m = *truth
			case *wire.PushPull:
				m.Hello = *truth
			case *wire.Delta: // each is another one
				m.Origin, m.Boot, m.N = truth.From.Name, truth.From.Boot, uint64(len(all)+1)
			}
			at, more := 0, fields > 0
			eachField(reflect.ValueOf(message).Elem(), func(field reflect.Value) {
				makeCurrent(field, truth.Mesh.ID)
				if at == chosen {
					more = setLie(field, lie)
				}
				at++
			})
			if !more && lie > 0 {
				break
			}
			all = append(all, message)
		}
	}
	return all
}

// eachField calls visit for each value in a message that has none of its own inside, or none that
// may be set, and for each list.
func eachField(v reflect.Value, visit func(reflect.Value)) {
	switch v.Addr().Interface().(type) {
	case *wire.Block, *netip.Addr, *netip.AddrPort:
		visit(v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachField(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachField(v.Index(i), visit)
		}
		visit(v)
	case reflect.Array:
		eachField(v.Index(0), visit)
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() && v.Elem().Kind() == reflect.Pointer {
			eachField(v.Elem().Elem(), visit)
		}
	default:
		visit(v)
	}
}

// makeCurrent moves a moment of the samples to today, and the sender to a mesh, so that nothing is
// wrong but lies.
func makeCurrent(v reflect.Value, mesh directory.MeshID) {
	now := directory.Time(time.Now().UnixMilli())
	switch p := v.Addr().Interface().(type) {
	case *netip.AddrPort:
		if !p.Addr().IsLoopback() { // whoever is named may be dialled
			*p = netip.MustParseAddrPort("127.0.0.67:9")
		}
	case *directory.MeshID:
		*p = mesh
	case *directory.Time:
		*p += now - sampleTime
	case *directory.Stamp:
		if *p != 0 {
			*p += directory.Stamp(now-sampleTime) << 16
		}
	case *directory.Micros:
		if p.Time() < now-3_600_000 {
			*p += (now - sampleTime).Micros()
		}
	case *directory.Tick:
		*p += now.Tick() - sampleTime.Tick()
	case *wire.Block:
		*p = wire.Pack(p.Tag, []directory.Mapping{row(now)})
	}
}

// row is a mapping as it might be.
func row(now directory.Time) directory.Mapping {
	return directory.Mapping{Hash: 0x12345678, Backend: netip.MustParseAddr("192.0.2.1"),
		Activity: now.Tick(), Stamp: now.Tick() - 10, Generation: 1}
}

// setLie gives a field the lie with this number; false if it has not so many.
func setLie(v reflect.Value, number int) bool {
	now := directory.Time(time.Now().UnixMilli())
	pick := func(count int, set func(i int)) bool {
		if number < count {
			set(number)
		}
		return number < count
	}
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		lies := []string{
			"0.0.0.0", "255.255.255.255", "::", "::1", "::ffff:192.0.2.1", "ff02::1", "192.0.2.77"}
		return pick(len(lies)+1, func(i int) {
			if *p = (netip.Addr{}); i < len(lies) {
				*p = netip.MustParseAddr(lies[i])
			}
		})
	case *netip.AddrPort:
		// Not the director's own, nor the liar's: that one is removed is an order, which is
		// followed.
		lies := []string{"127.0.0.1:0", "0.0.0.0:9090", "[::1]:9", "127.255.255.255:65535"}
		return pick(len(lies)+1, func(i int) {
			if *p = (netip.AddrPort{}); i < len(lies) {
				*p = netip.MustParseAddrPort(lies[i])
			}
		})
	case *wire.Block:
		lies := lyingRows(now)
		return pick(len(lies), func(i int) { *p = wire.Pack(p.Tag, lies[i]) })
	case *directory.Tick:
		lies := []directory.Tick{0, 1, math.MaxUint32, now.Tick() + 40, now.Tick() + 4*3600}
		return pick(len(lies), func(i int) { *p = lies[i] })
	case *directory.Stamp:
		lies := []directory.Time{0, -1, math.MaxInt64 >> 16, now + 10_000, now + 3_600_000}
		return pick(len(lies), func(i int) { *p = directory.Stamp(lies[i]) << 16 })
	case *directory.Micros:
		lies := []directory.Micros{0, -1, math.MaxInt64, math.MinInt64, now.Micros() + 10_000_000}
		return pick(len(lies), func(i int) { *p = lies[i] })
	}
	switch v.Kind() {
	case reflect.Bool:
		return pick(1, func(int) { v.SetBool(!v.Bool()) })
	case reflect.String:
		// Not the director's own name: in its first minute it would give way to an older one of
		// that.
		lies := []string{"", "d7", "liar", "\x1b[2J\t\n\x00", "host=evil\tnologin", "\xff\xfe",
			strings.Repeat("x", ring.MaxName), strings.Repeat("y", 1<<20)}
		return pick(len(lies), func(i int) { v.SetString(lies[i]) })
	case reflect.Slice:
		return pick(2, func(i int) {
			list := reflect.MakeSlice(v.Type(), 0, 0)
			for range i * 5000 {
				if v.Len() > 0 {
					list = reflect.Append(list, v.Index(0))
				}
			}
			v.Set(list)
		})
	}
	if v.CanInt() {
		lies := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt32, 1 << 40}
		return pick(len(lies), func(i int) { v.SetInt(lies[i]) })
	}
	if v.CanUint() {
		lies := []uint64{0, 1, math.MaxUint64, math.MaxInt64, math.MaxUint32, 1 << 40}
		return pick(len(lies), func(i int) { v.SetUint(lies[i]) })
	}
	return false
}

// lyingRows are lists of mappings, each with something wrong.
func lyingRows(now directory.Time) [][]directory.Mapping {
	change := func(f func(*directory.Mapping)) []directory.Mapping {
		m := row(now)
		f(&m)
		return []directory.Mapping{m}
	}
	many := make([]directory.Mapping, 50_000)
	for i := range many {
		many[i] = row(now)
		many[i].Hash = ring.UserHash(i)
		many[i].Backend = netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
	}
	return [][]directory.Mapping{
		nil,
		change(func(m *directory.Mapping) { m.Activity, m.Stamp = math.MaxUint32, math.MaxUint32 }),
		change(func(m *directory.Mapping) { m.Activity = now.Tick() + 4*3600 }),
		change(func(m *directory.Mapping) { m.Activity, m.Stamp = 0, 0 }),
		change(func(m *directory.Mapping) { m.Generation = directory.MaxGeneration }),
		change(func(m *directory.Mapping) { m.Backend = netip.Addr{} }),
		change(func(m *directory.Mapping) { m.Backend = netip.MustParseAddr("203.0.113.9") }),
		change(func(m *directory.Mapping) { m.Moving = true }),
		change(func(m *directory.Mapping) { m.Hash = 0 }),
		many,
	}
}
