//go:build e2e

package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// What memberlist 0.7.0 sends, as far as a liar needs it (its net.go, security.go): a message by
// UDP, and the state of one who exchanges states.
const (
	pushPullType  = 6
	userType      = 8
	encryptedType = 10
)

// seal encrypts a message as memberlist does, with what stands before it in the stream as further
// data.
func seal(message, further []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(testKey)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	label := []byte(meshLabel[2:])
	return gcm.Seal(append([]byte{1}, nonce...), nonce, message, append(further, label...)), nil
}

// gossipTo sends a message of ours by memberlist's packets to a director.
func gossipTo(d *process, message []byte) error {
	sealed, err := seal(append([]byte{userType}, message...), nil)
	if err != nil {
		return err
	}
	c, err := net.Dial("udp", d.addr.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(append([]byte(meshLabel), sealed...))
	return err
}

// exchangeWith gives a director a state of ours in a push/pull of memberlist's, with no list of
// members, and waits for the director's.
func exchangeWith(d *process, state []byte) error {
	plain := []byte{pushPullType, 0x83} // a map of three, in msgpack
	plain = append(plain, "\xa5Nodes\x00\xacUserStateLen\xce"...)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(state)))
	plain = append(plain, "\xa4Join\xc2"...)
	plain = append(plain, state...)
	const overhead = 1 + 12 + 16 // version, nonce, tag
	head := binary.BigEndian.AppendUint32([]byte{encryptedType}, uint32(len(plain)+overhead))
	sealed, err := seal(plain, append([]byte{}, head...))
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("tcp", d.addr.String(), openingTime)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(openingTime)); err != nil {
		return err
	}
	if _, err := c.Write(append(append([]byte(meshLabel), head...), sealed...)); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && len(answer) == 0 {
		err = errors.New("the director does not give its state")
	}
	return err
}
