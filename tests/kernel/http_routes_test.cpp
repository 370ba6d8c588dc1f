// SPDX-License-Identifier: Apache-2.0
//
// Routes, row by row: the target of a request, and the label that it is counted under. Every row is run whole, byte by byte,
// at both ends, and once more behind other requests, where shortcuts are taken.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "http_probe.hpp"
#include "http_templates.hpp"

namespace limpet::test {
namespace {

struct Row {
    const char* description;
    std::string target;
    std::string route; // "" for no label
};

const std::string kUuid = "550e8400-e29b-41d4-a716-446655440000";

const std::vector<Row> kFolded = {
    {"the root", "/", "/"},
    {"words stay", "/api/v1/users", "/api/v1/users"},
    {"a number", "/user/7", "/user/{id}"},
    {"a longer number folds to the same", "/user/1234567890123", "/user/{id}"},
    {"a number in the middle", "/user/42/orders", "/user/{id}/orders"},
    {"two numbers", "/user/42/orders/4711", "/user/{id}/orders/{id}"},
    {"a number of eight digits, a whole word", "/n/12345678/x", "/n/{id}/x"},
    {"a number first", "/42/x", "/{id}/x"},
    {"a UUID", "/item/" + kUuid, "/item/{id}"},
    {"a UUID in capitals", "/item/550E8400-E29B-41D4-A716-446655440000/x", "/item/{id}/x"},
    {"a short hash with one digit", "/commit/abcdef7a", "/commit/{id}"},
    {"a hash", "/blob/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blob/{id}"},
    {"hexadecimal letters without a digit are a word", "/deadbeef/facade", "/deadbeef/facade"},
    {"less than eight hexadecimal characters are a word", "/a1b2c/x", "/a1b2c/x"},
    {"a few digits in a word stay", "/v2/mp3/h264/oauth2", "/v2/mp3/h264/oauth2"},
    {"four digits in a word do not", "/order-2024/x", "/{id}/x"},
    {"a long name with a digit", "/assets/application.min.3.css", "/assets/{id}"},
    {"a long name without one", "/assets/internationalization.css", "/assets/internationalization.css"},
    {"the query is dropped", "/search?q=1/2&page=3", "/search"},
    {"the query of the root", "/?a=/b", "/"},
    {"a number before the query", "/user/7?x=y", "/user/{id}"},
    {"a slash at the end", "/user/7/", "/user/{id}/"},
    {"two slashes", "//a//7", "//a//{id}"},
    {"characters of all kinds", "/a%20b/~c;d=e,f:g@h/$i!", "/a%20b/~c;d=e,f:g@h/$i!"},
    {"an absolute target", "http://example.com:8080/user/7?x=1", "/user/{id}"},
    {"an absolute target over TLS", "https://10.0.0.1/a", "/a"},
    {"an absolute target without a path", "http://example.com", "/"},
    {"… but with a query", "HTTP://example.com?a=/b", "/"},
    {"the server itself", "*", ""},
    {"a target that is none", "user/7", ""},
    {"a segment of eight bytes", "/abcdefgh/abcdefghijklmnop", "/abcdefgh/abcdefghijklmnop"},
    {"a path that is too long ends in a star", "/a/" + std::string(130, 'x'), "/a/*"},
    {"… wherever it is cut", "/" + std::string(60, 'x') + "/" + std::string(70, 'y'),
     "/" + std::string(60, 'x') + "/*"},
    {"… identifiers in front of it folded", "/user/" + kUuid + "/" + kUuid + "/" + kUuid + "/" + kUuid,
     "/user/{id}/{id}/{id}/*"},
    {"many segments", "/1/2/3/4/5/6/7/8/9/10", "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}"},
    {"too many segments", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g",
     "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/*"},
};

std::string request(const std::string& target, const std::string& method = "GET")
{
    return method + " " + target + " HTTP/1.1\r\nHost: example.com\r\n\r\n";
}

const HttpProbe& folding_probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

void exchange(Connection& connection, const std::string& asked, bool is_cut)
{
    for (size_t at = 0; at < asked.size(); at += is_cut ? 1 : asked.size())
        connection.send(kC, is_cut ? asked.substr(at, 1) : asked);
    connection.send(kS, kOk);
}

std::string listed(const std::string& route, int count)
{
    return route + "=" + std::to_string(count);
}

HttpProbe with_templates(const std::vector<std::string>& templates, uint32_t routes_per_workload = 50)
{
    const Routes routes = read_routes(templates);
    REQUIRE(routes.mistake == "");
    return HttpProbe(
        {{"route_templates", {reinterpret_cast<const char*>(&routes.templates), sizeof routes.templates}},
         {"routes_per_workload", {reinterpret_cast<const char*>(&routes_per_workload), sizeof routes_per_workload}}});
}

} // namespace

TEST_CASE("A path is folded")
{
    for (const Row& row : kFolded)
        for (const bool is_server : {true, false})
            for (const bool is_cut : {false, true}) {
                INFO(row.description << (is_server ? ", at the server" : ", at the client")
                                     << (is_cut ? ", byte by byte" : ""));
                Connection connection(folding_probe(), is_server);
                exchange(connection, request(row.target), is_cut);
                CHECK(connection.counted_routes() == listed(row.route, 1));
            }
}

TEST_CASE("A path is folded the same behind another request, repeated, and in a head longer than the reader's window")
{
    const std::string long_head = " HTTP/1.1\r\nHost: a\r\nX: " + std::string(600, 'x') + "\r\n\r\n";
    for (const Row& row : kFolded) {
        INFO(row.description);
        Connection connection(folding_probe(), true);
        exchange(connection, request("/before"), false);
        for (int i = 0; i < 3; ++i)
            exchange(connection, request(row.target), false);
        exchange(connection, "GET " + row.target + long_head, false);
        const std::string seen = listed(row.route, 4);
        CHECK(connection.counted_routes() == (row.route < "/before" ? seen + ", /before=1" : "/before=1, " + seen));
    }
}

TEST_CASE("A target that crosses segments anywhere is the same")
{
    const std::string asked = request("/user/" + kUuid + "/orders/4711?x=1", "DELETE");
    Connection connection(folding_probe(), true);
    for (size_t at = 1; at < asked.size(); ++at) {
        connection.send(kC, asked.substr(0, at));
        connection.send(kC, asked.substr(at));
        connection.send(kS, kOk);
    }
    CHECK(connection.counted_routes() == listed("/user/{id}/orders/{id}", static_cast<int>(asked.size()) - 1));
}

TEST_CASE("A target behind a PROXY header, a target longer than a window, and CONNECT")
{
    Connection proxied(folding_probe(), true);
    exchange(proxied, "PROXY TCP4 127.0.0.1 127.0.0.1 12345 80\r\n" + request("/user/7"), false);
    CHECK(proxied.counted_routes() == "/user/{id}=1");

    Connection with_long_query(folding_probe(), true);
    for (int i = 0; i < 2; ++i)
        exchange(with_long_query, request("/search/9?q=" + std::string(2000, 'q'), i ? "OPTIONS" : "GET"), false);
    CHECK(with_long_query.counted_routes() == "/search/{id}=2");

    Connection tunnel(folding_probe(), true);
    tunnel.send(kC, request("example.com:443", "CONNECT"));
    tunnel.send(kS, "HTTP/1.1 200 OK\r\n\r\n");
    CHECK(tunnel.counted_routes() == "=1");
}

TEST_CASE("Pipelined requests keep their routes, nine deep; deeper ones are other")
{
    for (const bool is_server : {true, false}) {
        Connection connection(folding_probe(), is_server);
        std::string asked, answered;
        for (int i = 0; i < 9; ++i)
            asked += request(i % 3 ? "/b/" + std::to_string(i) : "/a"), answered += kOk;
        connection.send(kC, asked);
        connection.send(kS, answered);
        CHECK(connection.counted_routes() == "/a=3, /b/{id}=6");
        connection.send(kC, asked + asked);
        connection.send(kS, answered + answered);
        CHECK(connection.counted_routes() == "/a=6, /b/{id}=12, other=9");
    }
}

TEST_CASE("What is given up keeps its route")
{
    Connection connection(folding_probe(), true);
    connection.send(kC, request("/user/7") + request("/x"));
    connection.send(kS, "", kRst);
    CHECK(connection.counted_routes() == "/user/{id}=1, /x=1");
}

TEST_CASE("A workload has so many routes of its own; the rest is other, exactly")
{
    const HttpProbe probe = with_templates({"/user/{name}"}, 3);
    Connection connection(probe, true);
    for (const char* path : {"/a", "/b", "/user/x", "/c", "/d", "/e", "/a", "/user/y", "/d", "/1"})
        exchange(connection, request(path), false);
    CHECK(connection.counted_routes() == "/a=2, /b=1, /c=1, /user/{name}=2, other=4");
    Connection another(probe, true);
    exchange(another, request("/d"), false);
    CHECK(another.counted_routes() == "/d=1");
}

TEST_CASE("Of templates the first one that fits counts; what fits none is folded")
{
    const HttpProbe probe = with_templates(
        {"/user/me", "/user/{name}", "/user/{name}/orders", "/static/*", "/static/never", "/a/{x}/b/{y}/*", "/"});
    const std::vector<Row> rows = {
        {"a literal", "/user/me", "/user/me"},
        {"a name", "/user/alice", "/user/{name}"},
        {"a number", "/user/4711?x=1", "/user/{name}"},
        {"a literal in the middle goes by the other template", "/user/me/orders", "/user/{name}/orders"},
        {"no name at all", "/user/", "/user/"},
        {"another word behind it", "/user/7/carts", "/user/{id}/carts"},
        {"a rest", "/static/js/app.js", "/static/*"},
        {"a rest of one empty segment", "/static/", "/static/*"},
        {"a rest that is none", "/static", "/static"},
        {"the first that fits", "/static/never", "/static/*"},
        {"a rest that is cut", "/static/" + std::string(200, 'x'), "/static/*"},
        {"a rest of many segments", "/static/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t", "/static/*"},
        {"two names and a rest", "/a/1/b/2/c", "/a/{x}/b/{y}/*"},
        {"… without the rest", "/a/1/b/2", "/a/{id}/b/{id}"},
        {"the root", "/", "/"},
        {"an absolute target", "http://example.com/user/me", "/user/me"},
        {"none", "/other/7", "/other/{id}"},
    };
    for (const Row& row : rows)
        for (const bool is_cut : {false, true}) {
            INFO(row.description << (is_cut ? ", byte by byte" : ""));
            Connection connection(probe, true);
            exchange(connection, request(row.target), is_cut);
            CHECK(connection.counted_routes() == listed(row.route, 1));
        }
}

TEST_CASE("A hundred thousand names fill one route of their template and nothing else")
{
    const HttpProbe probe = with_templates({"/user/{name}", "/*"});
    Connection connection(probe, true);
    for (int i = 0; i < 2000; ++i) {
        std::string name;
        for (int rest = i + 1; rest; rest /= 26)
            name += static_cast<char>('a' + rest % 26);
        exchange(connection, request("/user/" + name), false);
        exchange(connection, request("/" + name + "/x"), false);
    }
    CHECK(connection.counted_routes() == "/*=2000, /user/{name}=2000");
}

TEST_CASE("Without routes there is no label")
{
    const HttpProbe probe({{"routes_are_on", std::string(4, '\0')}});
    Connection connection(probe, true);
    for (const char* path : {"/a", "/b", "/a"})
        exchange(connection, request(path), false);
    CHECK(connection.counted_routes() == "=3");
}

TEST_CASE("Templates are checked")
{
    const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
        {{}, "1 to 64 templates"},
        {std::vector<std::string>(65, "/a"), "1 to 64 templates"},
        {{"auto", "/a"}, "stand alone"},
        {{"user"}, "does not begin with '/'"},
        {{"/a b"}, "blank"},
        {{"/a?b"}, "'?'"},
        {{"/a/*/b"}, "not its last segment"},
        {{"/a*"}, "not its last segment"},
        {{"/a{b}"}, "braces"},
        {{"/{}"}, "braces"},
        {{"/" + std::string(120, 'x')}, "longer than"},
        {{"/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"}, "more than 15 segments"},
    };
    for (const auto& [templates, mistake] : rows) {
        CAPTURE(templates);
        CHECK_THAT(read_routes(templates).mistake, Catch::Contains(mistake));
    }
    CHECK(read_routes({"off"}).are_on == false);
    CHECK(read_routes({"auto"}).templates.count == 0);
    CHECK(read_routes({"/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/*"}).mistake == "");
    CHECK(read_routes(std::vector<std::string>(64, "/a")).templates.count == 64);
}

} // namespace limpet::test
