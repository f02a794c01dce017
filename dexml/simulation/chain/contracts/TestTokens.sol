// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// Ledger that the test tokens share: anybody may mint, for nothing here is worth anything.
abstract contract Book {
    string public name;
    string public symbol;
    uint8 public immutable decimals;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory name_, string memory symbol_, uint8 decimals_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
    }

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function spend(address from, uint256 value) internal {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= value, "allowance too low");
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
    }

    function move(address from, address to, uint256 value) internal {
        require(balanceOf[from] >= value, "balance too low");
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// ERC-20 that can be paused and can take a fee from what is transferred.
contract TestToken is Book {
    uint256 public feeBps;
    bool public paused;

    constructor(string memory name_, string memory symbol_, uint8 decimals_)
        Book(name_, symbol_, decimals_) {}

    function setFee(uint256 bps) external {
        require(bps < 10_000, "fee too high");
        feeBps = bps;
    }

    function setPaused(bool value) external {
        paused = value;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        pay(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        spend(from, value);
        pay(from, to, value);
        return true;
    }

    function pay(address from, address to, uint256 value) internal {
        require(!paused, "paused");
        uint256 fee = value * feeBps / 10_000;
        if (fee > 0) move(from, address(0xdead), fee);
        move(from, to, value - fee);
    }
}

/// Token of the manners of USDT: no return values, and an allowance goes up only from zero.
contract StrictToken is Book {
    constructor(string memory name_, string memory symbol_, uint8 decimals_)
        Book(name_, symbol_, decimals_) {}

    function approve(address spender, uint256 value) external {
        require(value == 0 || allowance[msg.sender][spender] == 0, "approve from zero only");
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    function transfer(address to, uint256 value) external {
        move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        spend(from, value);
        move(from, to, value);
    }
}
