package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// A group that may do everything, without a rule of RBAC.
const masters = "system:masters"

// The users that the control plane itself needs. Each component has its own, so that the audit log tells them apart.
const (
	adminUser      = "admin"
	kwokUser       = "kwok"
	controllerUser = "system:kube-controller-manager"
	schedulerUser  = "system:kube-scheduler"
)

// user is somebody whom the API server knows by a token.
type user struct {
	name, token, group string
}

func parseUser(text string) (user, error) {
	name, rest, ok := strings.Cut(text, "=")
	token, group, grouped := strings.Cut(rest, ":")
	if !grouped {
		group = masters
	}
	// The token file is CSV, and the name becomes the name of a file.
	if !ok || name == "" || token == "" || group == "" || strings.ContainsAny(text, ",\"/\n") {
		return user{}, fmt.Errorf("'%s' is not NAME=TOKEN[:GROUP]", text)
	}
	return user{name, token, group}, nil
}

// ownUsers answers the control plane's own users, with tokens that nobody can guess.
func ownUsers() []user {
	names := []string{adminUser, kwokUser, controllerUser, schedulerUser}
	users := make([]user, 0, len(names))
	for _, name := range names {
		users = append(users, user{name, rand.Text(), masters})
	}
	return users
}

func writeTokens(path string, users []user) error {
	var lines strings.Builder
	for _, u := range users {
		fmt.Fprintf(&lines, "%s,%s,%s,\"%s\"\n", u.token, u.name, u.name, u.group)
	}
	return os.WriteFile(path, []byte(lines.String()), 0o600)
}

// kubeconfigPath is where the kubeconfig of a user lies; the administrator's has the short name.
func kubeconfigPath(dir, name string) string {
	if name == adminUser {
		return filepath.Join(dir, "kubeconfig")
	}
	return filepath.Join(dir, strings.ReplaceAll(name, ":", "-")+".kubeconfig")
}

func writeKubeconfig(dir, server string, ca []byte, u user) error {
	config := api.NewConfig()
	config.Clusters["controlplane"] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[u.name] = &api.AuthInfo{Token: u.token}
	config.Contexts["controlplane"] = &api.Context{Cluster: "controlplane", AuthInfo: u.name}
	config.CurrentContext = "controlplane"
	return clientcmd.WriteToFile(*config, kubeconfigPath(dir, u.name))
}
