package mesh

import (
	"errors"
	"fmt"

	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// ErrInvalid is wrapped by the errors about what was asked with a name that cannot be one. Every
// name that comes through a door is checked here; names from peers are checked where they are
// decoded.
var ErrInvalid = errors.New("invalid name")

func checkTag(tag ring.Tag) error {
	if tag == "" {
		return nil
	}
	if err := ring.CheckWord(string(tag)); err != nil {
		return fmt.Errorf("%w: tag %q %w", ErrInvalid, tag, err)
	}
	return nil
}

// checkOperation refuses names that cannot be sent to the other directors.
func checkOperation(op replica.Operation) error {
	switch op := op.(type) {
	case replica.AddBackend:
		if op.Name != "" {
			if err := ring.CheckHostName(op.Name); err != nil {
				return fmt.Errorf("%w: host %q %w", ErrInvalid, op.Name, err)
			}
		}
		return checkTag(op.Tag)
	case replica.UpdateBackend:
		if op.Tag != nil {
			return checkTag(*op.Tag)
		}
	case replica.Rebalance:
		if op.Tag != nil {
			return checkTag(*op.Tag)
		}
	case replica.Unpin:
		return checkTag(op.User.Tag)
	case replica.ResetFactors:
		if op.Tag != nil {
			return checkTag(*op.Tag)
		}
	case replica.IfTable:
		if op.Digest != "" {
			if err := ring.CheckWord(op.Digest); err != nil {
				return fmt.Errorf("%w: digest %q %w", ErrInvalid, op.Digest, err)
			}
		}
		if op.Operation != nil {
			return checkOperation(op.Operation)
		}
	case replica.KickUser:
		if len(op.Value) > wire.MaxText {
			return fmt.Errorf("%w: user of %d bytes; the most is %d",
				ErrInvalid, len(op.Value), wire.MaxText)
		}
		if op.Field != "" {
			if err := ring.CheckWord(op.Field); err != nil {
				return fmt.Errorf("%w: field %q %w", ErrInvalid, op.Field, err)
			}
		}
	case replica.Import:
		for _, m := range op.Mappings {
			if err := checkTag(m.Tag); err != nil {
				return err
			}
		}
	}
	return nil
}
