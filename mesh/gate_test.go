package mesh

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const testLabel = "director/test"

// labelled puts a label header before a message.
func labelled(label string, message ...[]byte) []byte {
	return append(append([]byte{labelMagic, byte(len(label))}, label...),
		bytes.Join(message, nil)...)
}

// sealed is a payload as memberlist encrypts it. Version 0 pads its text, so it may be given with
// any padding.
func sealed(t *testing.T, key []byte, version byte, text, authenticated []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 12)
	return gcm.Seal(append([]byte{version}, nonce...), nonce, text, authenticated)
}

// sealedStream is a stream of memberlist's with one encrypted message.
func sealedStream(t *testing.T, key []byte, version byte, text []byte) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte{encryptMsg}, uint32(1+12+len(text)+16))
	return labelled(testLabel, head, sealed(t, key, version, text, append(head, testLabel...)))
}

func TestGatePackets(t *testing.T) {
	payload := append([]byte{payloadVersion}, make([]byte, leastPayload-1)...)
	for _, test := range []struct {
		name         string
		packet       []byte
		plain, keyed error
	}{
		{"nothing", nil, errNotMemberlist, errNotMemberlist},
		{"no label", []byte{pingMsg, 1, 2, 3}, errNotMemberlist, errNotMemberlist},
		{"magic alone", []byte{labelMagic}, errNotMemberlist, errNotMemberlist},
		{"label cut short", labelled(testLabel)[:5], errNotMemberlist, errNotMemberlist},
		{"label alone", labelled(testLabel), errNotMemberlist, errNotMemberlist},
		{"other label", labelled("director/x", payload), errOtherMesh, errOtherMesh},
		{"ping", labelled(testLabel, []byte{pingMsg, 0x80}), nil, errPayload},
		{"one byte", labelled(testLabel, []byte{pingMsg}), nil, errPayload},
		{"compressed", labelled(testLabel, []byte{compressMsg}, make([]byte, 50)), errCompressed,
			errPayload},
		{"payload", labelled(testLabel, payload), nil, nil},
		{"empty payload", labelled(testLabel, payload[:leastPayload-1]), nil, errPayload},
		{"padded payload", labelled(testLabel, []byte{0}, payload), nil, errPayload},
		{
			"longest",
			labelled(testLabel, payload, make([]byte, maxPacket-2-len(testLabel)-len(payload))),
			nil, nil,
		},
		{"too long", labelled(testLabel, payload, make([]byte, maxPacket)), errPacketSize,
			errPacketSize},
	} {
		for _, g := range []gate{{label: testLabel}, {label: testLabel, encrypted: true}} {
			want := test.plain
			if g.encrypted {
				want = test.keyed
			}
			var got error
			if err := g.packet(test.packet); err != nil {
				got = err
			}
			if got != want {
				t.Errorf("%s, encrypted %v: %v, want %v", test.name, g.encrypted, got, want)
			}
		}
	}
}

func TestGateStreams(t *testing.T) {
	header := func(nodes, state []byte) []byte {
		return bytes.Join([][]byte{
			{pushPullMsg, 0x83, 0xa4}, []byte("Join"), {0xc3, 0xa5}, []byte("Nodes"), nodes,
			{0xac}, []byte("UserStateLen"), state,
		}, nil)
	}
	payload := func(size uint32, version byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{encryptMsg}, size), version)
	}
	for _, test := range []struct {
		name         string
		message      []byte // behind the label
		plain, keyed error
	}{
		{"ping", []byte{pingMsg, 0x80}, nil, errNoKey},
		{"user message", []byte{8, 0x80}, errNotMemberlist, errNoKey},
		{"compressed", []byte{compressMsg, 0x80}, errCompressed, errNoKey},
		{"push/pull", header([]byte{3}, []byte{0xcd, 1, 0}), nil, errNoKey},
		{"many members", header([]byte{0xce, 0, 0x10, 0, 0}, []byte{0}), errStateSize, errNoKey},
		{"fewer than no members",
			header([]byte{0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{0}),
			errStateSize, errNoKey},
		{"large state", header([]byte{3}, []byte{0xce, 0x01, 0, 0, 0}), errStateSize, errNoKey},
		{"header is an array", []byte{pushPullMsg, 0x93, 0xce, 0, 0x10, 0, 0, 0, 0xc3},
			errNotMemberlist, errNoKey},
		{"array like a header", []byte{pushPullMsg, 0x91, 0xa4, 'J', 'o', 'i', 'n', 0xc3},
			errNotMemberlist, errNoKey},
		{"large value of another key", []byte{pushPullMsg, 0x81, 0xa1, 'x', 0xce, 0xff, 0, 0, 0},
			nil, errNoKey},
		{"header's key is none", []byte{pushPullMsg, 0x81, 0xd9, 5, 'N', 'o', 'd', 'e', 's', 1},
			errNotMemberlist, errNoKey},
		{"header's value is none", header([]byte{0xc6, 0xff, 0xff, 0xff, 0xff}, []byte{0}),
			errNotMemberlist, errNoKey},
		{"header cut short", header([]byte{3}, []byte{0xcd}), io.EOF, errNoKey},
		{"payload", payload(leastPayload, payloadVersion), errKey, nil},
		{"empty payload", payload(leastPayload-1, payloadVersion), errKey, errPayload},
		{"padded payload", payload(100, 0), errKey, errPayload},
		{"large payload", payload(foreignState+1, payloadVersion), errKey, errStateSize},
		{"nothing", nil, io.EOF, io.EOF},
	} {
		for _, g := range []gate{{label: testLabel}, {label: testLabel, encrypted: true}} {
			want := test.plain
			if g.encrypted {
				want = test.keyed
			}
			whole := labelled(testLabel, test.message)
			in := bufio.NewReaderSize(bytes.NewReader(whole), gateBytes)
			if err := g.stream(in); !errors.Is(err, want) {
				t.Errorf("%s, encrypted %v: %v, want %v", test.name, g.encrypted, err, want)
			}
			if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%s: the gate leaves %x of %x, %v", test.name, got, whole, err)
			}
			answer := bufio.NewReaderSize(bytes.NewReader(test.message), gateBytes)
			if err := g.answer(answer); !errors.Is(err, want) {
				t.Errorf("%s as an answer, encrypted %v: %v, want %v",
					test.name, g.encrypted, err, want)
			}
		}
	}
	for _, g := range []gate{{label: testLabel}, {label: testLabel, encrypted: true}} {
		for in, want := range map[string]error{
			"GET / HTTP/1.0":                    errNotMemberlist,
			"no":                                errNotMemberlist,
			string(labelled("director/x", nil)): errOtherMesh,
			string(labelled(strings.Repeat("x", 255), []byte{encryptMsg})): errOtherMesh,
		} {
			err := g.stream(bufio.NewReaderSize(strings.NewReader(in), gateBytes))
			if !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", in, err, want)
			}
		}
	}
}

// A header of push/pull is read as far as a gate may look, and not a byte further.
func TestGateLooksSoFar(t *testing.T) {
	header := []byte{pushPullMsg, 0x8f}
	for range 15 {
		header = append(append(append(header, 0xbf), bytes.Repeat([]byte{'x'}, 31)...), 1)
	}
	label := strings.Repeat("l", gateBytes-2-len(header))
	longer := bytes.Clone(header)
	longer = append(longer[:len(longer)-1], 0xcc, 1)
	for _, test := range []struct {
		message []byte
		want    error
	}{{header, nil}, {longer, errNotMemberlist}} {
		stream := bytes.NewReader(append(labelled(label, test.message), "what follows"...))
		err := gate{label: label}.stream(bufio.NewReaderSize(stream, gateBytes))
		if !errors.Is(err, test.want) {
			t.Errorf("a header of %d bytes: %v, want %v", len(test.message), err, test.want)
		}
	}
}

// TestEmptyPayloads sends what a key holder can make and memberlist does not expect: nothing,
// encrypted. It comes by packet, by stream, and as the answer to a push/pull that the director
// began.
func TestEmptyPayloads(t *testing.T) {
	liar, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	cfg, _ := socketConfig("d1")
	cfg.Keys = [][]byte{testKey(1)}
	cfg.Join = []string{liar.Addr().String()}
	one := start(t, cfg)

	padding := bytes.Repeat([]byte{16}, 16) // all of it
	beyond := bytes.Repeat([]byte{255}, 16) // more than there is
	streams := [][]byte{
		sealedStream(t, testKey(1), 1, nil), sealedStream(t, testKey(1), 0, padding),
		sealedStream(t, testKey(1), 0, beyond),
	}
	for _, b := range streams {
		c, err := net.Dial("tcp", one.Advertise().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := errors.Join(c.SetDeadline(time.Now().Add(10*time.Second)),
			write(c, b)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c) // until it is closed
	}
	packets, err := net.Dial("udp", one.Advertise().String())
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	for version, text := range [][]byte{padding, nil, beyond} {
		payload := sealed(t, testKey(1), byte(version%2), text, []byte(testLabel))
		if err := write(packets, labelled(testLabel, payload)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the director tries on
		c, err := liar.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := write(c, streams[0][2+len(testLabel):]); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	within(t, 10*time.Second, "all were refused",
		func() bool { return counted(t, one.metrics.drops[dropPayload]) >= 6 })
	if !one.Self().Synced {
		within(t, 10*time.Second, "the director serves", func() bool { return one.Self().Synced })
	}
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
