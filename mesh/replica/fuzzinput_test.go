package replica_test

import (
	"encoding/binary"
	"math"
	"net/netip"
	"reflect"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
	"directormesh/ring"
)

// source gives the bytes of a fuzzer one after the other, and zeros when there are none left.
type source struct {
	data []byte
	m    *trio
}

func (s *source) empty() bool { return len(s.data) == 0 }

func (s *source) byte() byte {
	if s.empty() {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) below(n int) int { return int(s.byte()) % n }

// number is one that is likely to mean something: small, about now in some unit, or anything.
func (s *source) number() uint64 {
	near := uint64(s.byte()) - 128
	switch s.below(8) {
	case 0, 1, 2:
		return near + 128
	case 3:
		return uint64(fuzzWall(s.m.now).Time()) + near*100 // milliseconds
	case 4:
		return uint64(fuzzWall(s.m.now).Time())<<16 + near<<24 // a stamp
	case 5:
		return uint64(fuzzWall(s.m.now)) + near*100_000 // microseconds
	case 6:
		return uint64(s.m.now) + near*uint64(50*time.Millisecond) // the monotonic clock
	}
	var raw [8]byte
	for i := range raw {
		raw[i] = s.byte()
	}
	return binary.LittleEndian.Uint64(raw[:])
}

func (s *source) name() string {
	return []string{"d1", "d2", "d3", "d2", "d3", "x", "y", ""}[s.below(8)]
}

func (s *source) tag() ring.Tag { return []ring.Tag{"", "", "", "t", "u"}[s.below(5)] }

func (s *source) addr() netip.Addr {
	if b := s.byte(); b < 250 {
		return fuzzBackend(int(b) % 4)
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: s.byte()})
}

func (s *source) hash() ring.UserHash { return ring.UserHash(uint32(s.below(12)) * fuzzHashStep) }

func (s *source) boot() uint64 {
	if i := s.below(5); i < 3 {
		return s.m.nodes[i].boot
	}
	return s.number()
}

func (s *source) tick() directory.Tick {
	switch s.below(6) {
	case 0:
		return directory.Tick(s.number())
	case 1:
		return math.MaxUint32
	}
	return fuzzWall(s.m.now).Time().Add(time.Duration(int(s.byte())-200) * 250 * time.Millisecond).
		Tick()
}

func (s *source) rows() (rows []directory.Mapping) {
	for range s.below(5) {
		m := directory.Mapping{
			Hash: s.hash(), Activity: s.tick(), Stamp: s.tick(),
			Generation: uint16(1 + s.below(4)), Moving: s.below(4) == 0,
		}
		if s.below(20) == 0 {
			m.Generation = directory.MaxGeneration
		}
		if s.below(5) > 0 {
			m.Backend = s.addr()
		}
		rows = append(rows, m)
	}
	return rows
}

// message makes one of any kind.
func (s *source) message() wire.Message {
	samples := wiretest.Samples()
	m := reflect.New(reflect.TypeOf(samples[s.below(len(samples))]).Elem())
	s.fill(m.Elem())
	message := m.Interface().(wire.Message)
	if reply, ok := message.(*wire.LookupReply); ok {
		reply.Block = wire.Pack(s.tag(), []directory.Mapping{
			{Hash: s.hash(), Backend: s.addr(), Generation: 1, Activity: s.tick(), Stamp: s.tick()},
		})
		if reply.Failed {
			reply.Block = wire.Block{}
		}
	}
	// Places in a log are told truly: who lies about them cannot be told from who is ahead.
	if _, ok := wire.LogSeq(message); ok {
		wire.SetSeq(message, 0)
	}
	if beat, ok := message.(*wire.Beat); ok {
		beat.Seq = 0
	}
	return message
}

// fill gives a value and all in it some value that it may have.
func (s *source) fill(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *wire.Block:
		*p = wire.Pack(s.tag(), s.rows())
	case *netip.AddrPort:
		*p = fuzzAddr(s.below(5))
	case *netip.Addr:
		*p = s.addr()
	case *wire.Settings:
		*p = wire.Settings{
			Protocol: replica.ProtocolVersion, Mesh: "fuzz", HashFormat: "%Lu",
			Expire: fuzzExpire.Milliseconds(),
		}
	case *wire.Peer:
		i := s.below(5)
		*p = wire.Peer{
			Name: []string{"d1", "d2", "d3", "x", "y"}[i], Boot: max(s.boot(), 1),
			Addr: fuzzAddr(i),
		}
	case *directory.MeshID:
		if *p = s.m.nodes[0].core.Table().Mesh; s.below(6) == 0 {
			*p = directory.MeshID(s.number())
		}
	case *directory.Register[directory.Presence]:
		fillRegister(s, p, directory.Presence{Present: s.below(3) > 0, Tag: s.tag()})
	case *directory.Register[int]:
		fillRegister(s, p, s.below(20))
	case *directory.Register[directory.State]:
		fillRegister(
			s, p, directory.State{Down: s.below(2) == 0, Since: directory.Stamp(s.number())})
	case *directory.DirectorRow: // the three of the mesh stay in it
		i := s.below(5)
		p.Addr = fuzzAddr(i)
		fillRegister(s, &p.Removed, i >= 3 && s.below(2) == 0)
	case *directory.Tick:
		*p = s.tick()
	case *ring.Tag:
		*p = s.tag()
	case *ring.UserHash:
		*p = s.hash()
	default:
		s.fillKind(v)
	}
}

func fillRegister[T comparable](s *source, r *directory.Register[T], value T) {
	if s.below(3) > 0 {
		*r = directory.Register[T]{
			Value: value, Stamp: directory.Stamp(s.number()),
			Origin: []string{"d1", "d2", "d3", "x"}[s.below(4)],
		}
	}
}

func (s *source) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(s.below(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(s.number()) & (1<<(v.Type().Bits()-1) - 1))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := s.number()
		v.SetUint(n & (1<<v.Type().Bits() - 1))
	case reflect.String:
		v.SetString(s.name())
	case reflect.Struct:
		for i := range v.NumField() {
			s.fill(v.Field(i))
		}
	case reflect.Array:
		for i := 0; i < v.Len(); i += 37 {
			s.fill(v.Index(i))
		}
	case reflect.Slice:
		n := s.below(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.fill(v.Index(i))
		}
	}
}

// operation is one that an operator may order.
func (s *source) operation() replica.Operation {
	b := s.addr()
	switch s.below(20) {
	case 19:
		return replica.ResetFactors{}
	case 13:
		return replica.Drain{Addr: b, Pace: s.pace(), Force: s.below(2) == 0}
	case 14:
		return replica.Undrain{Addr: b}
	case 15:
		tag := s.tag()
		return replica.Rebalance{Tag: &tag, Pace: s.pace()}
	case 17:
		return replica.Pin{Hash: s.hash(), Backend: b}
	case 18:
		return replica.Unpin{User: ring.User{Tag: s.tag(), Hash: s.hash()}}
	case 16:
		return replica.IfTable{Digest: "0123456789abcdef", Operation: replica.Forget{Addr: b}}
	case 0:
		n := s.below(20)
		return replica.AddBackend{Addr: b, Tag: s.tag(), VHosts: &n}
	case 1:
		return replica.AddBackend{Addr: b, Tag: s.tag()}
	case 2:
		return replica.UpdateBackend{Addr: b, VHosts: s.below(20)}
	case 3:
		return replica.RemoveBackend{Addr: b}
	case 4:
		return replica.SetDown{Addr: b, Down: s.below(2) == 0}
	case 5:
		return replica.Forget{Addr: b}
	case 6, 7:
		return replica.Move{Hash: s.hash(), Backend: b, Wait: s.below(2) == 0}
	case 8:
		return replica.Flush{Addr: b, MaxParallel: s.below(5)}
	case 9:
		return replica.CancelFlush{}
	case 10:
		return replica.KickUser{Value: "somebody"}
	case 11: // of an address where nobody is: a director that is removed answers no lookup
		return replica.SetDirectorRemoved{
			Addr: netip.AddrPortFrom(b, 9090), Removed: s.below(2) == 0,
		}
	}
	return replica.Import{Mappings: []replica.ImportedMapping{
		{Tag: s.tag(), Hash: s.hash(), Backend: b, Activity: directory.Time(s.number())},
	}}
}

// pace is how fast users are to be moved.
func (s *source) pace() replica.Pace {
	return replica.Pace{
		Over: time.Duration(s.byte()) * 100 * time.Millisecond, MaxParallel: s.below(5),
	}
}

// step gives the first director one input.
func (m *trio) step(s *source) {
	s.m = m
	d := m.nodes[0]
	from := m.nodes[1+s.below(2)]
	switch s.below(16) {
	case 0, 1, 2, 3, 4:
		m.receive(d, d.sessions[from.name], s.message())
	case 5:
		delta := &wire.Delta{}
		s.fill(reflect.ValueOf(delta).Elem())
		m.receive(d, 0, delta)
	case 6:
		state := &wire.PushPull{}
		s.fill(reflect.ValueOf(state).Elem())
		m.receive(d, 0, state)
	case 7:
		hello := &wire.Hello{}
		s.fill(reflect.ValueOf(hello).Elem())
		if got, ok := m.valid(hello); ok {
			if _, session, err := d.core.Accept(m.now, got.(*wire.Hello)); err == nil {
				d.sessions[hello.From.Name] = session
				m.receive(d, session, s.message())
			}
		}
	case 8:
		hello := &wire.Hello{}
		s.fill(reflect.ValueOf(hello).Elem())
		if got, ok := m.valid(hello); ok {
			_ = d.core.Opened(m.now, replica.Dial{Name: hello.From.Name, Addr: hello.From.Addr},
				got.(*wire.Hello)) // it may well refuse
		}
	case 9:
		m.lookup(d, s.tag(), s.hash())
	case 10:
		d.core.Do(m.now, m.id(), s.operation())
	case 11:
		d.part(from)
		from.part(d)
	case 12:
		d.core.Adopt(m.now, s.tag(), s.hash(), s.addr())
		d.core.Refresh(m.now, s.tag(), s.hash())
	case 13:
		m.memberlist(s, d)
	default:
		m.tick([]time.Duration{
			10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond,
			900 * time.Millisecond, 1500 * time.Millisecond,
		}[s.below(5)])
	}
}

// memberlist brings news of directors, true or not.
func (m *trio) memberlist(s *source, d *node) {
	name, i := []string{"d2", "d3", "x", "y"}[s.below(4)], s.below(5)
	switch s.below(5) {
	case 0:
		d.core.MemberJoined(m.now, name, fuzzAddr(i), max(s.boot(), 1))
	case 1:
		d.core.MemberFailed(m.now, name)
	case 2:
		d.core.ProbeFailed(m.now, name)
	case 3:
		d.core.DialFailed(m.now, name, nil)
	case 4:
		d.core.Refused(m.now, &wire.Refuse{
			From: wire.Peer{Name: name, Boot: 7, Addr: fuzzAddr(i)}, Reason: "some reason",
		})
	}
}

// valid passes a message through the codec. What that does not take never reaches a core.
func (m *trio) valid(message wire.Message) (wire.Message, bool) {
	encoded, err := wire.Encode(message)
	if err != nil {
		return nil, false
	}
	got, err := wire.Decode(encoded)
	return got, err == nil
}

// receive gives a director a message as it comes by the way that its kind takes.
func (m *trio) receive(d *node, session uint64, message wire.Message) {
	got, ok := m.valid(message)
	if !ok {
		return
	}
	switch got := got.(type) {
	case *wire.Delta:
		d.core.Gossip(m.now, got)
	case *wire.PushPull:
		_ = d.core.MergePushPull(m.now, got) // it may well refuse
	default:
		d.core.Receive(m.now, session, got)
	}
}
