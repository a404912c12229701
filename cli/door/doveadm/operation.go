package doveadm

import (
	"context"
	"errors"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
	"directormesh/mesh/wording"
)

const (
	// syncTimeout bounds both waits of a change: until this director takes changes, and until all
	// directors have it.
	syncTimeout = 30 * time.Second
	// syncInterval is the time between attempts while this director takes no changes.
	syncInterval = 100 * time.Millisecond
)

// The replies to changes; Dovecot's tools know them.
const (
	replyOK           = "OK"
	replyNotFound     = "NOTFOUND"
	replyTryAgain     = "TRYAGAIN"
	replyVHosts       = "vhost count too large"
	replyTag          = "host tag can't be changed"
	replyNotConfirmed = "Ring sync timed out"
)

// carryOut carries out an operation and writes the reply.
func (c *connection) carryOut(op api.Operation) error {
	_, err := c.do(op)
	return c.answer(err)
}

// answer writes the reply that tells of a change's error, or OK.
func (c *connection) answer(err error) error {
	if err != nil && c.ctx.Err() != nil {
		return errStopping
	}
	c.reply(replyTo(err))
	return nil
}

// do carries out a change, waits for that as long as the protocol allows, and notes it.
func (c *connection) do(op api.Operation) (api.Outcome, error) {
	began := time.Now()
	outcome, err := c.try(op)
	for synced := began.Add(syncTimeout); isCode(err, api.CodeNotSynced) &&
		time.Now().Before(synced); {
		select {
		case <-time.After(syncInterval):
			outcome, err = c.try(op)
		case <-c.ctx.Done():
			return outcome, c.ctx.Err()
		}
	}
	audit.Record{
		Who: c.who, Door: "director-admin", Op: op, Hash: c.director.Hash, Took: time.Since(began),
	}.Note(c.log, c.director, outcome, err)
	return outcome, err
}

func (c *connection) try(op api.Operation) (api.Outcome, error) {
	ctx, cancel := context.WithTimeout(c.ctx, syncTimeout)
	defer cancel()
	return c.director.Do(ctx, op)
}

func isCode(err error, code api.Code) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == code
}

// replyTo returns the reply to a change that ended with this error. Where Dovecot's director could
// not fail, the text says what has gone wrong.
func replyTo(err error) string {
	var e *api.Error
	switch {
	case err == nil:
		return replyOK
	case errors.Is(err, context.DeadlineExceeded):
		return replyNotConfirmed
	case !errors.As(err, &e):
		return plain(wording.Text(err.Error()))
	}
	switch e.Code {
	case api.CodeNotFound:
		return replyNotFound
	case api.CodeTryAgain:
		return replyTryAgain
	case api.CodeVHosts:
		return replyVHosts
	case api.CodeTagDiffers:
		return replyTag
	case api.CodeTimeout, api.CodeNotSynced:
		return replyNotConfirmed
	}
	return plain(e.Message)
}

// plain makes a text of errors a reply: one line, because doveadm prints replies as they are,
// escapes of the protocol too, and none that is taken for another reply.
func plain(text string) string {
	text = api.Visible(
		strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; "))
	if text == "" || strings.HasPrefix(text, replyOK) {
		return "failed: " + text
	}
	return text
}
