// What feeds what among the graphs of a model (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "errors.hpp"
#include "fields.hpp"
#include "session.hpp"

namespace edgesft {

/// The graph that gives the answer.
constexpr const char* MAIN = "model";

/// Graph → its session.
using Sessions = std::map<std::string, std::shared_ptr<const Session>>;

/// An input that is another graph's output.
struct Link {
    std::string input, giver, output;
};

/// Graph → what it takes from others.
using Links = std::map<std::string, std::vector<Link>>;

/// The input or output of this name; nullptr where there is none.
inline const Port* find_port(const std::vector<Port>& ports, const std::string& name) {
    auto found = std::find_if(ports.begin(), ports.end(), [&](const Port& port) { return port.name == name; });
    return found == ports.end() ? nullptr : &*found;
}

/// Names of graphs as a message lists them.
template <typename Graphs>
std::string named(const Graphs& graphs) {
    std::string names;
    for (const auto& graph : graphs) names += ", " + graph.first;
    return names;
}

/// What the contract says. Throws Broken where that does not fit the graphs that there are.
inline Links links_of(const Fields& contract, const Sessions& sessions) {
    Links found;
    std::string there, wanted = MAIN;
    for (const auto& [graph, session] : sessions) found[graph], there += graph == MAIN ? "" : ", " + graph;
    if (contract.given("graphs")) wanted += named(contract.object("graphs").members());
    if (wanted != MAIN + there) throw Broken("contract.json: graphs must be " + wanted + ", got " + MAIN + there);
    if (!contract.given("links")) return found;
    Fields links = contract.object("links");
    for (const auto& [taker, givers] : links.members()) {
        for (const auto& [giver, pairs] : Fields(taker, givers).members()) {
            for (const auto& [input, output] : Fields(taker, givers).texts(giver)) {
                std::string where = giver + "'s '" + output + "' → " + taker + "'s '" + input + "'";
                auto from = sessions.find(giver), to = sessions.find(taker);
                const Port* one = from == sessions.end() ? nullptr : find_port(from->second->outputs, output);
                const Port* other = to == sessions.end() ? nullptr : find_port(to->second->inputs, input);
                if (!one || !other) {
                    throw Broken("contract.json: links must join outputs to inputs that the graphs have, got " + where);
                }
                if (one->dtype != other->dtype || one->shape.size() != other->shape.size()) {
                    throw Broken("contract.json: links must join what is of one type and as many axes, got " + where);
                }
                found[taker].push_back({input, giver, output});
            }
        }
    }
    return found;
}

/// The graphs in an order in which those that give come before those that take. Throws Broken where there is none.
inline std::vector<std::string> order_of(const Links& links) {
    std::vector<std::string> order;
    auto done = [&](const std::string& graph) { return std::find(order.begin(), order.end(), graph) != order.end(); };
    while (order.size() < links.size()) {
        auto ready = std::find_if(links.begin(), links.end(), [&](const auto& each) {
            auto given = [&](const Link& link) { return done(link.giver); };
            return !done(each.first) && std::all_of(each.second.begin(), each.second.end(), given);
        });
        if (ready == links.end()) throw Broken("contract.json: links must lead from graph to graph and never back, got a circle");
        order.push_back(ready->first);
    }
    return order;
}

}  // namespace edgesft
