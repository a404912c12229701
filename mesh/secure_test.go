package mesh

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flynn/noise"
)

// ciphers returns the two ends of one direction of an encrypted stream.
func ciphers(t *testing.T) (seal, open *noise.CipherState) {
	t.Helper()
	secret := keysOf(t, "test", testKey(1)).secrets[0]
	dialer, err := noiseState(true, nil, secret)
	if err != nil {
		t.Fatal(err)
	}
	acceptor, err := noiseState(false, nil, secret)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _, err := dialer.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := acceptor.ReadMessage(nil, first); err != nil {
		t.Fatal(err)
	}
	second, receive, _, err := acceptor.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, send, _, err := dialer.ReadMessage(nil, second)
	if err != nil {
		t.Fatal(err)
	}
	return send, receive
}

// What is written goes into as few records as hold it, and comes out as it was.
func TestRecords(t *testing.T) {
	for _, size := range []int{0, 1, maxPlaintext - 1, maxPlaintext, maxPlaintext + 1,
		3 * maxPlaintext} {
		seal, open := ciphers(t)
		var over bytes.Buffer
		w, r := &secureWriter{w: &over, cipher: seal}, &secureReader{r: &over, cipher: open}
		plain := bytes.Repeat([]byte("director"), size/8+1)[:size]
		if n, err := w.Write(plain); n != size || err != nil {
			t.Fatalf("%d bytes: wrote %d, %v", size, n, err)
		}
		records := (size + maxPlaintext - 1) / maxPlaintext
		if got, want := over.Len(), size+records*(recordHeader+recordTag); got != want {
			t.Errorf("%d bytes take %d, want %d", size, got, want)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes come out as %d, %v", size, len(got), err)
		}
		if _, err := w.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(make([]byte, 4)); n != 0 || err != io.EOF {
			t.Errorf("after its end a reader gives %d bytes, %v", n, err)
		}
	}
}

// An idle stream holds on to little memory, whatever went over it; and to what it uses again.
func TestMemoryOfRecords(t *testing.T) {
	seal, open := ciphers(t)
	var over bytes.Buffer
	w, r := &secureWriter{w: &over, cipher: seal}, &secureReader{r: &over, cipher: open}
	send := func(size int) {
		t.Helper()
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	const little = keepBuffer - recordHeader - recordTag
	send(little)
	if cap(w.buf) < little || cap(r.record) < little {
		t.Errorf("%d and %d bytes are kept of what is little", cap(w.buf), cap(r.record))
	}
	send(2 * keepBuffer)
	if w.buf != nil {
		t.Errorf("a writer keeps %d bytes", cap(w.buf))
	}
	record := r.record
	send(little)
	if cap(r.record) > keepBuffer {
		t.Errorf("a reader keeps %d bytes", cap(r.record))
	}
	kept := r.record
	send(1)
	if cap(record) <= keepBuffer || &kept[0] != &r.record[0] {
		t.Error("a reader takes new memory for each record")
	}
	r.record = make([]byte, keepBuffer)
	kept = r.record
	send(1)
	if &kept[0] != &r.record[0] {
		t.Error("a reader does not keep as much as it may")
	}
}

// A reader takes no record that is cut or has no text, and repeats what went wrong.
func TestOddRecords(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		want error
		text string
	}{
		{"nothing", nil, io.EOF, "EOF"},
		{"half a header", []byte{0}, io.ErrUnexpectedEOF, "unexpected EOF"},
		{"a header alone", []byte{0, recordTag + 1}, io.ErrUnexpectedEOF, "unexpected EOF"},
		{"cut", append([]byte{0, recordTag + 1}, make([]byte, recordTag)...), io.ErrUnexpectedEOF,
			""},
		{"a tag alone", append([]byte{0, recordTag}, make([]byte, recordTag)...), nil,
			"record of 16 bytes is too short"},
		{"not ours", append([]byte{0, recordTag + 1}, make([]byte, recordTag+1)...), nil,
			"record 0 does not decrypt"},
	} {
		_, open := ciphers(t)
		r := &secureReader{r: bytes.NewReader(test.in), cipher: open}
		n, err := r.Read(make([]byte, 9))
		if n != 0 || err == nil || test.want != nil && !errors.Is(err, test.want) ||
			!strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %d, %v", test.name, n, err)
		}
		r.r = bytes.NewReader([]byte{0, recordTag + 1})
		if _, again := r.Read(make([]byte, 9)); again != err {
			t.Errorf("%s: %v, then %v", test.name, err, again)
		}
	}
}

// A writer whose connection breaks says so.
func TestBrokenWriter(t *testing.T) {
	seal, _ := ciphers(t)
	w := &secureWriter{w: &frail{byteConn{}, 0}, cipher: seal}
	if n, err := w.Write([]byte("x")); n != 0 || err != errBroken {
		t.Errorf("%d, %v", n, err)
	}
}

// The secret of streams is another one in each mesh and for each key.
func TestSecretsOfStreams(t *testing.T) {
	seen := make(map[string]bool)
	for _, mesh := range []string{"", "a", "b"} {
		for key := range byte(3) {
			secret, err := streamSecret(testKey(key), mesh)
			if err != nil || len(secret) != KeySize || seen[string(secret)] {
				t.Errorf("%q, key %d: %x, %v", mesh, key, secret, err)
			}
			seen[string(secret)] = true
		}
	}
}

// A stream whose records have all their numbers is given up, whoever writes.
func TestRecordsRunOut(t *testing.T) {
	seal, _ := ciphers(t)
	seal.SetNonce(noise.MaxNonce + 1)
	var over bytes.Buffer
	w := &secureWriter{w: &over, cipher: seal}
	if n, err := w.Write([]byte("x")); n != 0 || err == nil || over.Len() > 0 {
		t.Errorf("%d, %v, %d bytes sent", n, err, over.Len())
	}
	near, _ := ends(t)
	o := newOutStream("d2", &secureStream{conn: near, r: near, w: w})
	o.sent = func([]messageSize) { t.Error("something was sent") }
	if err := o.add([]byte("x")); err != nil {
		t.Fatal(err)
	}
	o.push(nil)
	o.waitForWriter()
	if err := o.cause(); err == nil || !strings.HasPrefix(err.Error(), "encrypt: ") {
		t.Errorf("closed because of %v", err)
	}
}
