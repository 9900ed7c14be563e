// What a contract says of a model that answers token by token (export/BUNDLE.md), held against its graphs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "links.hpp"

namespace edgesft {

class Generation {
  public:
    /// Throws Broken where the contract says what this kit does not know, or the graphs do not have.
    Generation(const Runtime& ort, Sessions graphs, const Fields& contract) : ort(ort), sessions(std::move(graphs)) {
        Fields said = contract.object("decoding");
        stop = said.wholes("stop");
        if (said.given("positions")) positions = said.whole("positions", 1);
        tokens = port(MAIN, said.text("tokens"), true);
        if (said.given("keep")) keep = port(MAIN, said.text("keep"), true);
        outputs.push_back(port(MAIN, said.text("output"), false));
        for (const auto& [input, output] : said.texts("cache")) {
            read_blank(contract, port(MAIN, input, true));
            outputs.push_back(port(MAIN, output, false));
        }
        read_reader(contract, said);
    }

    bool stops(std::int64_t token) const { return std::find(stop.begin(), stop.end(), token) != stop.end(); }

    /// Tokens that may follow a prompt before the cache is full.
    std::int64_t room(std::size_t prompt) const {
        return positions ? *positions - static_cast<std::int64_t>(prompt) + 1 : std::numeric_limits<std::int64_t>::max();
    }

    const Runtime& ort;
    const Sessions sessions;
    /// Tokens that end an answer.
    std::vector<std::int64_t> stop;
    /// What the cache may hold; nothing where it has no end.
    std::optional<std::int64_t> positions;
    /// Inputs of the main graph: the tokens, and which place is asked for, which may be none.
    std::string tokens, keep;
    /// Its outputs: the scores, and what each of the cache becomes.
    std::vector<std::string> outputs;
    /// A cache that holds nothing.
    Feeds blank;
    /// The graph that reads the prompt, and its input, where that is one of its own; then what every answer begins by, and
    /// what the main graph takes of it.
    std::string reader, reads;
    std::int64_t begin = 0;
    std::vector<Link> links;

  private:
    const std::string& port(const std::string& graph, const std::string& name, bool input) const {
        const Session& session = *sessions.at(graph);
        const Port* found = find_port(input ? session.inputs : session.outputs, name);
        if (!found) {
            throw Broken("contract.json: decoding must name inputs and outputs that " + graph + " has, got '" + name + "'");
        }
        return found->name;
    }

    /// Of the free axes the first is 1, for an inference takes one row, and the others are 0.
    void read_blank(const Fields& contract, const std::string& name) {
        for (const Json& each : contract.list("inputs")) {
            Fields own("inputs", each);
            if (own.text("name") != name) continue;
            Array array{dtype_named(own.text("dtype")), {}, {}, {}};
            for (const Json& axis : own.list("shape")) {
                array.shape.push_back(axis.as<std::int64_t>() ? *axis.as<std::int64_t>() : array.shape.empty());
            }
            array.bytes.assign(elements(array.shape) * array.dtype.bytes, 0);
            blank.push_back({name, tensor_of(ort, array), array.shape});
            return;
        }
        throw Broken("contract.json: inputs must have all of decoding.cache, got no '" + name + "'");
    }

    void read_reader(const Fields& contract, const Fields& said) {
        bool own_one = said.given("reader");
        std::string wanted = MAIN;
        if (own_one) wanted += ", " + (reader = said.object("reader").text("graph"));
        links = links_of(contract, sessions)[MAIN];
        bool own = std::all_of(links.begin(), links.end(), [&](const Link& link) { return link.giver == reader; });
        if (!own || sessions.size() != (own_one ? 2U : 1U) || (own_one && !sessions.count(reader))) {
            throw Broken("contract.json: graphs must be " + wanted + " for a model that writes, got " + named(sessions).substr(2));
        }
        if (!own_one) return;
        reads = port(reader, said.object("reader").text("tokens"), true);
        begin = said.whole("begin", 0);
    }
};

}  // namespace edgesft
