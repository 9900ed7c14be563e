// The conversation: one JSON object a line in, one out.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent.hpp"
#include "reader.hpp"

namespace edgesft {

/// Environment variable with the process id of what started the runner.
constexpr const char* HOST = "EDGESFT_HOST";

struct Operation {
    const char* name;
    std::vector<const char*> fields;
    Json::Map (Agent::*does)(const Fields&);
};

inline const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = {
        {"info", {}, &Agent::info},
        {"state", {}, &Agent::state},
        {"evict", {"files"}, &Agent::evict},
        {"load", {"model", "providers", "threads", "optimisation", "allow_cpu", "config", "io"}, &Agent::load},
        {"feedback", {"states"}, &Agent::feedback},
        {"request", {"feeds"}, &Agent::request},
        {"first", {}, &Agent::first},
        {"warm_up", {"seconds"}, &Agent::warm_up},
        {"time", {"count", "picks"}, &Agent::time},
        {"paced", {"count", "picks", "interval_ns"}, &Agent::paced},
        {"flight", {"count", "picks", "streams"}, &Agent::flight},
        {"run", {"feeds"}, &Agent::run},
        {"profile", {"count"}, &Agent::profile},
        {"memory", {}, &Agent::memory},
        {"model", {}, &Agent::model},
        {"quit", {}, &Agent::quit},
    };
    return all;
}

/// Operations of the protocol that are not done here, and why.
constexpr std::pair<const char*, const char*> REFUSED[] = {
    {"pipeline", "a pipeline is Python, which this runner has not; time requests instead"},
    {"row", "rows go through a pipeline, which is Python and which this runner has not; send a request instead"},
    {"spans", "spans take rows through a pipeline, which is Python and which this runner has not; take `time` instead"},
    {"pipelined", "rows go through a pipeline, which is Python and which this runner has not; take `flight` instead"},
    {"instructions", "this runner does not count instructions"},
};

/// The answer to one operation. Throws Refusal where it cannot be done.
inline Json::Map ask(Agent& agent, const std::string& op, const Json& request) {
    for (const auto& [name, reason] : REFUSED) {
        if (op == name) throw Refusal(reason);
    }
    std::string names;
    for (const Operation& each : operations()) {
        names += (names.empty() ? "" : ", ") + std::string(each.name);
        if (op != each.name) continue;
        Fields fields("request", request);
        for (const auto& [name, value] : fields.members()) {
            auto same = [&, wanted = name](const char* field) { return wanted == field; };
            bool known = name == "op" || std::any_of(each.fields.begin(), each.fields.end(), same);
            if (!known) throw Refusal("'" + op + "' has no field '" + name + "'");
        }
        Json::Map reply = {{"op", op}};
        for (auto& member : (agent.*each.does)(fields)) reply.push_back(std::move(member));
        return reply;
    }
    throw Refusal("op must be one of " + names + ", got '" + op + "'");
}

/// The answer to one line, and whether it was the last one.
inline std::pair<Json::Map, bool> answer(Agent& agent, const std::string& line) {
    Json op;
    try {
        Json request = Reader(line).read();
        const Json* named = Fields("a line", request).find("op");
        if (!named) throw Refusal("a line must have 'op', got " + shown(&request));
        op = *named;
        if (!op.as<std::string>()) refuse("op", "text", &op);
        return {ask(agent, *op.as<std::string>(), request), *op.as<std::string>() == "quit"};
    } catch (const std::exception& error) {  // whatever is thrown must reach the other side as an answer
        return {{{"op", op}, {"error", error.what()}}, false};
    }
}

/// Writes answers, a line each.
///
/// Libraries print to file descriptor 1: the protocol keeps the real one and they get standard error.
class Output {
  public:
    Output() : file_(fcntl(1, F_DUPFD_CLOEXEC, 3)) { dup2(2, 1); }

    void write(const Json::Map& reply) const {
        std::string line = Json(reply).text() + "\n";
        for (std::size_t done = 0; done < line.size();) {
            ssize_t more = ::write(file_, line.data() + done, line.size() - done);
            if (more < 0 && errno != EINTR) _exit(1);  // nobody reads
            done += more > 0 ? static_cast<std::size_t>(more) : 0;
        }
    }

  private:
    int file_;
};

/// Lines of standard input as they come, read aside.
///
/// So the end of the input is seen even while an inference hangs: if then the host, too, is gone (its process id is in
/// the environment, for it may be gone before this process looks), nobody is left who could end it.
class Lines {
  public:
    Lines() {
        std::ios::sync_with_stdio(false);  // or each character of a request's arrays is a call
        const char* told = std::getenv(HOST);
        host_ = told && *told ? static_cast<pid_t>(std::atol(told)) : getppid();
        std::thread([this] { read(); }).detach();
    }

    /// The next line; nothing at the end.
    std::optional<std::string> next() {
        std::unique_lock<std::mutex> lock(mutex_);
        more_.wait(lock, [this] { return !waiting_.empty(); });
        std::optional<std::string> line = std::move(waiting_.front());
        waiting_.pop_front();
        return line;
    }

  private:
    void read() {
        for (std::string line; std::getline(std::cin, line);) put(std::move(line));
        put(std::nullopt);
        while (getppid() == host_) sleep(1);
        _exit(1);
    }

    void put(std::optional<std::string> line) {
        std::lock_guard<std::mutex> lock(mutex_);
        waiting_.push_back(std::move(line));
        more_.notify_one();
    }

    pid_t host_ = 0;
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<std::optional<std::string>> waiting_;
};

/// Answers standard input until it ends or asks to quit.
inline void serve(Agent& agent, const Output& output) {
    static Lines lines;  // the thread that reads may outlive this function
    while (std::optional<std::string> line = lines.next()) {
        if (line->find_first_not_of(" \t\r\n") == std::string::npos) continue;
        auto [reply, last] = answer(agent, *line);
        output.write(reply);
        if (last) break;
    }
}

}  // namespace edgesft
