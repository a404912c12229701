package replica

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// printer writes values of any type in one line, leaving out what is zero. Times are those since
// the beginning of the play, backends and meshes go by short names.
type printer struct {
	meshes []directory.MeshID // in the order of their appearance
}

// mostRows is how many rows are written one by one.
const mostRows = 4

func (p *printer) text(v any) string {
	if v == nil {
		return "nothing"
	}
	return p.value(reflect.ValueOf(v))
}

// known writes what is no number or struct to its reader.
func (p *printer) known(v any) (text string, ok bool) {
	begin := trueTime(worldStart)
	switch v := v.(type) {
	case netip.Addr:
		return backendName(v), true
	case netip.AddrPort:
		return v.String(), true
	case time.Duration:
		return v.Round(time.Millisecond).String(), true
	case time.Time:
		return p.text(directory.Time(v.UnixMilli())), true
	case directory.MeshID:
		return p.mesh(v), true
	case directory.Time:
		return v.Sub(begin.Time()).String(), true
	case directory.Micros:
		return v.Sub(begin).String(), true
	case directory.Tick:
		return v.Time().Sub(begin.Time()).String(), true
	case directory.Stamp:
		if v.Time() == 0 {
			return fmt.Sprint(uint64(v)), true
		}
		return fmt.Sprintf("%s/%d", v.Time().Sub(begin.Time()), v&0xffff), true
	case ring.UserHash:
		return fmt.Sprint(uint32(v)), true
	case directory.BackendRow:
		return p.backendRow(v), true
	case wire.Block:
		return p.block(v), true
	case error:
		return v.Error(), true
	case fmt.Stringer:
		return v.String(), true
	}
	return "", false
}

func (p *printer) value(v reflect.Value) string {
	if v.CanInterface() {
		if text, ok := p.known(v.Interface()); ok {
			return text
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
			return v.Elem().Type().Name() + p.value(v.Elem())
		}
		return p.value(v.Elem())
	case reflect.Struct:
		return p.fields(v)
	case reflect.Array:
		return p.sum(v)
	case reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, p.value(v.Index(i)))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case reflect.Map:
		var all []string
		for _, k := range v.MapKeys() {
			all = append(all, p.value(k)+": "+p.value(v.MapIndex(k)))
		}
		slices.Sort(all)
		return "[" + strings.Join(all, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// backendRow writes what was commanded of a backend; its name alone stands for what is usual.
func (p *printer) backendRow(r directory.BackendRow) string {
	text := backendName(r.Addr)
	note := func(v any, usual bool, by directory.Stamp, origin string) {
		if by != 0 {
			text += fmt.Sprintf(" %s by %s at %s", p.text(v), origin, p.text(by))
		} else if !usual {
			text += " " + p.text(v)
		}
	}
	present := r.Presence.Value
	note(present, present == directory.Presence{Present: true}, r.Presence.Stamp, r.Presence.Origin)
	note(r.VHosts.Value, r.VHosts.Value == ring.DefaultVHosts, r.VHosts.Stamp, r.VHosts.Origin)
	note(r.State.Value, !r.State.Value.Down, r.State.Stamp, r.State.Origin)
	if r.Forgotten != 0 {
		text += " forgotten to " + p.text(r.Forgotten)
	}
	if r.Drain.Value != (directory.Task{}) {
		text += " drain"
		note(r.Drain.Value, false, r.Drain.Stamp, r.Drain.Origin)
	}
	if r.Rebalance.Value != (directory.Task{}) {
		text += " rebalance"
		note(r.Rebalance.Value, false, r.Rebalance.Stamp, r.Rebalance.Origin)
	}
	if r.Factor.Value != 0 {
		text += " factor"
		note(r.Factor.Value, false, r.Factor.Stamp, r.Factor.Origin)
	}
	if r.Standby.Value {
		text += " standby"
		note(r.Standby.Value, false, r.Standby.Stamp, r.Standby.Origin)
	}
	if r.Start.Value != (directory.Start{}) {
		text += " start"
		note(r.Start.Value, false, r.Start.Stamp, r.Start.Origin)
	}
	if r.Listing.Value != (directory.Listing{}) {
		text += " listing"
		note(r.Listing.Value, false, r.Listing.Stamp, r.Listing.Origin)
	}
	if r.Verdict.Value != (directory.Verdict{}) {
		text += " verdict"
		note(r.Verdict.Value, false, r.Verdict.Stamp, r.Verdict.Origin)
	}
	return text
}

// fields writes those of a struct that are not zero.
func (p *printer) fields(v reflect.Value) string {
	var all []string
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case f.IsZero():
		case f.Kind() == reflect.Bool:
			all = append(all, name)
		case v.Type() == reflect.TypeFor[wire.MeshRank]() && name == "Age":
			all = append(all, fmt.Sprint(name, " ", f.Int()/100*100)) // a millisecond is no matter
		default:
			all = append(all, name+" "+p.value(f))
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// sum says how many of many numbers are not zero, and sums them up.
func (p *printer) sum(v reflect.Value) string {
	n, sum := 0, fnv.New32a()
	for i := range v.Len() {
		if !v.Index(i).IsZero() {
			n++
		}
		fmt.Fprint(sum, v.Index(i), " ")
	}
	return fmt.Sprintf("%d not zero, sum %08x", n, sum.Sum32())
}

// block writes the rows of one, or sums them up where there are many.
func (p *printer) block(b wire.Block) string {
	rows := b.Append(nil)
	var all []string
	for _, m := range rows {
		all = append(all, p.value(reflect.ValueOf(m)))
	}
	text := strings.Join(all, " ")
	if len(rows) > mostRows {
		sum := fnv.New32a()
		fmt.Fprint(sum, text)
		text = fmt.Sprintf("%d rows, sum %08x", len(rows), sum.Sum32())
	}
	if b.Tag != "" {
		text = "tag " + string(b.Tag) + " " + text
	}
	return "<" + text + ">"
}

func (p *printer) mesh(id directory.MeshID) string {
	i := slices.Index(p.meshes, id)
	if i < 0 {
		i = len(p.meshes)
		p.meshes = append(p.meshes, id)
	}
	return fmt.Sprint("mesh ", i+1)
}

// backendName is a letter for the backends of testBackends.
func backendName(a netip.Addr) string {
	if !a.IsValid() {
		return "nowhere"
	}
	if n := a.As16(); a.Is4() && n[12] == 192 && n[15] <= 26 {
		return string('A' + rune(n[15]) - 1)
	}
	return a.String()
}
