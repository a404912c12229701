package probe

import "strings"

// sieveDialogue: RFC 5804: the greeting is a list of capabilities, a quoted name each, that ends
// with a line OK, or with NO or BYE. After STARTTLS the server gives that list again.
func sieveDialogue(c *conn, login *Login) error {
	word, said, err := sieveAnswer(c)
	switch {
	case err != nil:
		return err
	case word != "OK":
		return &problem{NotServing, "it greets with " + quote(said)}
	}
	if c.check.Encryption == StartTLS {
		if err := c.say("STARTTLS"); err != nil {
			return err
		}
		if word, said, err = sieveAnswer(c); err != nil {
			return err
		}
		if word != "OK" {
			return noStartTLS(said)
		}
		if err := c.startTLS(); err != nil {
			return err
		}
		if word, said, err = sieveAnswer(c); err != nil {
			return err
		}
		if word != "OK" {
			return &problem{NotServing, "it greets with " + quote(said)}
		}
	}
	if login != nil {
		if err := c.say(`AUTHENTICATE "PLAIN" "` + login.plain() + `"`); err != nil {
			return err
		}
		if word, said, err = sieveAnswer(c); err != nil {
			return err
		}
		if word != "OK" {
			return noLogin(said)
		}
	}
	return c.bye("LOGOUT")
}

// sieveAnswer reads up to the line that ends an answer: OK, NO or BYE.
func sieveAnswer(c *conn) (word, said string, err error) {
	said, err = c.lines(func(line string) bool { return !strings.HasPrefix(line, `"`) })
	if err != nil {
		return "", "", err
	}
	word, _, _ = strings.Cut(said, " ")
	word = strings.ToUpper(word)
	if word != "OK" && word != "NO" && word != "BYE" {
		return "", "", unexpected("answer", said)
	}
	return word, said, nil
}
