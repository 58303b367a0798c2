// A registry on loopback, for tests: the one that Docker Hub grew from, with its own ways to let people in.
//
// It listens twice: where it asks for a login, and where it does not, for who fills it. The first line on stdout names
// both places. It ends when its stdin does, so that it never outlives who started it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

func main() {
	log.SetFlags(0)
	// What it tells about each request nobody reads.
	logrus.SetOutput(io.Discard)
	var options options
	flag.StringVar(&options.dir, "dir", "", "directory for blobs, and for what the login needs")
	flag.StringVar(&options.auth, "auth", "none", "how it lets people in: none, basic or token")
	flag.StringVar(&options.user, "user", "", "the user who gets in")
	flag.StringVar(&options.password, "password", "", "the password of that user")
	flag.StringVar(&options.certificate, "certificate", "", "file of its certificate; without one it speaks plain HTTP")
	flag.StringVar(&options.key, "key", "", "file of the certificate's key")
	flag.Parse()
	if err := run(options); err != nil {
		log.Fatalf("registry: %v", err)
	}
}

type options struct {
	dir, auth, user, password, certificate, key string
}

func run(options options) error {
	ctx := context.Background()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	auth, tokens, err := authentication(options, front.Addr().String())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handlers.NewApp(ctx, storage(options.dir, auth)))
	if tokens != nil {
		mux.Handle("/token", tokens)
	}
	failed := make(chan error, 3)
	go func() {
		if options.certificate == "" {
			failed <- http.Serve(front, mux)
		} else {
			failed <- http.ServeTLS(front, mux, options.certificate, options.key)
		}
	}()
	go func() { failed <- http.Serve(back, handlers.NewApp(ctx, storage(options.dir, nil))) }()
	fmt.Printf("%s %s\n", front.Addr(), back.Addr())
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

func storage(dir string, auth configuration.Auth) *configuration.Configuration {
	config := &configuration.Configuration{
		Storage: configuration.Storage{"filesystem": {"rootdirectory": dir + "/blobs"}},
		Auth:    auth,
	}
	config.HTTP.Secret = "of no use to anybody else"
	config.Log.AccessLog.Disabled = true
	return config
}
