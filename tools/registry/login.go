package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"
)

// Who issues tokens, and for whom.
const name = "bed"

// How long a token is good for.
const life = 5 * time.Minute

// authentication answers how people get in, and who gives tokens where it is by these.
func authentication(options options, address string) (configuration.Auth, http.Handler, error) {
	switch options.auth {
	case "none":
		return nil, nil, nil
	case "basic":
		hash, err := bcrypt.GenerateFromPassword([]byte(options.password), bcrypt.MinCost)
		if err != nil {
			return nil, nil, err
		}
		path := filepath.Join(options.dir, "htpasswd")
		line := fmt.Sprintf("%s:%s\n", options.user, hash)
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			return nil, nil, err
		}
		return configuration.Auth{"htpasswd": {"realm": name, "path": path}}, nil, nil
	case "token":
		issuer, err := newIssuer(options)
		if err != nil {
			return nil, nil, err
		}
		path := filepath.Join(options.dir, "issuer.pem")
		certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.certificate})
		if err := os.WriteFile(path, certificate, 0o600); err != nil {
			return nil, nil, err
		}
		realm := "http://" + address + "/token"
		if options.certificate != "" {
			// The certificate is for the name.
			realm = "https://localhost:" + address[strings.LastIndex(address, ":")+1:] + "/token"
		}
		return configuration.Auth{"token": {
			"realm": realm, "service": name, "issuer": name, "rootcertbundle": path,
		}}, issuer, nil
	}
	return nil, nil, fmt.Errorf("no such way to let people in: %q", options.auth)
}

// issuer gives tokens to read: of repositories below public/ to everybody, of others to the one user.
type issuer struct {
	user, password string
	certificate    []byte
	signer         jose.Signer
}

func newIssuer(options options) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	chain := []string{base64.StdEncoding.EncodeToString(certificate)}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("x5c", chain))
	if err != nil {
		return nil, err
	}
	return &issuer{options.user, options.password, certificate, signer}, nil
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (i *issuer) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	user, password, shown := request.BasicAuth()
	known := subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(i.user+":"+i.password)) == 1
	if shown && !known {
		http.Error(answer, "who are you?", http.StatusUnauthorized)
		return
	}
	granted := []access{}
	for _, scope := range request.URL.Query()["scope"] {
		parts := strings.Split(scope, ":")
		// What is asked for beyond reading is no business of a test's client.
		if len(parts) != 3 || parts[0] != "repository" || parts[2] != "pull" {
			http.Error(answer, "only to pull", http.StatusBadRequest)
			return
		}
		if known || strings.HasPrefix(parts[1], "public/") {
			granted = append(granted, access{"repository", parts[1], []string{"pull"}})
		}
	}
	now := time.Now()
	token, err := jwt.Signed(i.signer).Claims(map[string]any{
		"iss": name, "aud": []string{name}, "sub": user, "jti": rand.Text(),
		"nbf": now.Add(-time.Minute).Unix(), "iat": now.Unix(), "exp": now.Add(life).Unix(),
		"access": granted,
	}).Serialize()
	if err != nil {
		http.Error(answer, err.Error(), http.StatusInternalServerError)
		return
	}
	answer.Header().Set("Content-Type", "application/json")
	// Who asks anew gets another: the client's business is to ask again in time.
	_ = json.NewEncoder(answer).Encode(map[string]any{"token": token, "expires_in": int(life.Seconds())})
}
